-- +goose Up
CREATE TABLE runs (
    id         TEXT PRIMARY KEY,
    project    TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    pipeline   TEXT NOT NULL,
    number     INTEGER NOT NULL,
    branch     TEXT NOT NULL,
    revision   TEXT NOT NULL,
    state      TEXT NOT NULL,
    created    INTEGER NOT NULL,
    finished   INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    doc        TEXT NOT NULL,
    UNIQUE (pipeline, number)
) STRICT;
CREATE INDEX runs_newest ON runs (created, number);
CREATE INDEX runs_project ON runs (project, created);
CREATE INDEX runs_state ON runs (state, created);

-- Attempts that wait for a worker (worker is empty), and those that a worker has.
CREATE TABLE queue (
    run        TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    step       TEXT NOT NULL,
    attempt    INTEGER NOT NULL,
    project    TEXT NOT NULL,
    kind       TEXT NOT NULL,
    selector   TEXT NOT NULL,
    trusted    INTEGER NOT NULL,
    priority   INTEGER NOT NULL,
    ready_at   INTEGER NOT NULL,
    worker     TEXT NOT NULL,
    leased_at  INTEGER NOT NULL,
    expires    INTEGER NOT NULL,
    stop       TEXT NOT NULL,
    PRIMARY KEY (run, step, attempt)
) STRICT;
CREATE INDEX queue_ready ON queue (worker, priority, ready_at);

-- When a server was last alive: leases do not run out while none is.
CREATE TABLE heartbeats (
    name       TEXT PRIMARY KEY,
    at         INTEGER NOT NULL
) STRICT;
