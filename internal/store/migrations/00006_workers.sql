-- +goose Up
CREATE TABLE workers (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    key_hash   TEXT NOT NULL UNIQUE,
    seen_at    INTEGER NOT NULL,
    draining   INTEGER NOT NULL,
    doc        TEXT NOT NULL
) STRICT;

-- One-time tokens by which a new worker registers. They are stored as hashes.
CREATE TABLE registrations (
    hash       TEXT PRIMARY KEY,
    made_by    TEXT NOT NULL,
    expires    INTEGER NOT NULL
) STRICT;

-- What a run's steps kept.
CREATE TABLE artifacts (
    run        TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    step       TEXT NOT NULL,
    path       TEXT NOT NULL,
    digest     TEXT NOT NULL,
    size       INTEGER NOT NULL,
    kept_at    INTEGER NOT NULL,
    doc        TEXT NOT NULL,
    PRIMARY KEY (run, step, path)
) STRICT;
CREATE INDEX artifacts_digest ON artifacts (digest);

CREATE TABLE logs (
    run        TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    step       TEXT NOT NULL,
    attempt    INTEGER NOT NULL,
    lines      INTEGER NOT NULL,
    size       INTEGER NOT NULL,
    finished   INTEGER NOT NULL,
    PRIMARY KEY (run, step, attempt)
) STRICT;
