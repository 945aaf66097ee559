-- +goose Up
CREATE TABLE approvals (
    id         TEXT PRIMARY KEY,
    project    TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    run        TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    state      TEXT NOT NULL,
    asked      INTEGER NOT NULL,
    expires    INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    doc        TEXT NOT NULL
) STRICT;
CREATE INDEX approvals_state ON approvals (state, expires);
CREATE INDEX approvals_run ON approvals (run);

-- Releases are never changed. A run makes one for each set of artifacts that it deploys.
CREATE TABLE releases (
    pipeline   TEXT NOT NULL,
    number     INTEGER NOT NULL,
    project    TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    run        TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    created    INTEGER NOT NULL,
    doc        TEXT NOT NULL,
    PRIMARY KEY (pipeline, number)
) STRICT;

CREATE TABLE environments (
    key        TEXT PRIMARY KEY,
    project    TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    pipeline   TEXT NOT NULL,
    name       TEXT NOT NULL,
    keeper     TEXT NOT NULL,
    version    INTEGER NOT NULL,
    doc        TEXT NOT NULL
) STRICT;
CREATE INDEX environments_project ON environments (project);

-- What an environment's keeper saw last.
CREATE TABLE observations (
    environment TEXT PRIMARY KEY REFERENCES environments (key) ON DELETE CASCADE,
    at         INTEGER NOT NULL,
    doc        TEXT NOT NULL
) STRICT;

CREATE TABLE deployments (
    id         TEXT PRIMARY KEY,
    project    TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    environment TEXT NOT NULL,
    run        TEXT NOT NULL,
    state      TEXT NOT NULL,
    requested  INTEGER NOT NULL,
    ended      INTEGER NOT NULL,
    doc        TEXT NOT NULL
) STRICT;
CREATE INDEX deployments_environment ON deployments (environment, requested);
CREATE INDEX deployments_run ON deployments (run);
