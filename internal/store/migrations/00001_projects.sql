-- +goose Up
CREATE TABLE projects (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    version    INTEGER NOT NULL,
    doc        TEXT NOT NULL
) STRICT;

-- A pipeline's name belongs to the project that used it first. The counters are the numbers given last.
CREATE TABLE pipelines (
    name       TEXT PRIMARY KEY,
    project    TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    runs       INTEGER NOT NULL,
    releases   INTEGER NOT NULL
) STRICT;
CREATE INDEX pipelines_project ON pipelines (project);

-- Where each branch was when it was looked at last.
CREATE TABLE heads (
    project    TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    branch     TEXT NOT NULL,
    revision   TEXT NOT NULL,
    seen_at    INTEGER NOT NULL,
    PRIMARY KEY (project, branch)
) STRICT;

-- Every change we were told of or found, and what became of it. The key is what makes two of them the same.
CREATE TABLE changes (
    id         INTEGER PRIMARY KEY,
    project    TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    branch     TEXT NOT NULL,
    revision   TEXT NOT NULL,
    trigger_key TEXT NOT NULL,
    outcome    TEXT NOT NULL,
    reason     TEXT NOT NULL,
    runs       TEXT NOT NULL,
    seen_at    INTEGER NOT NULL,
    settled_at INTEGER NOT NULL,
    doc        TEXT NOT NULL,
    UNIQUE (project, branch, revision, trigger_key)
) STRICT;
CREATE INDEX changes_pending ON changes (id) WHERE outcome = 'pending';
