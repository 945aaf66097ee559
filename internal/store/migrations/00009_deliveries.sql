-- +goose Up
-- Every call of a project's webhook, as it arrived. The body is kept compressed for as long as it may be read again; of a
-- call without a valid signature none is kept.
CREATE TABLE deliveries (
    id         INTEGER PRIMARY KEY,
    project    TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    key        TEXT NOT NULL,
    event      TEXT NOT NULL,
    header     TEXT NOT NULL,
    body       BLOB NOT NULL,
    size       INTEGER NOT NULL,
    outcome    TEXT NOT NULL,
    reason     TEXT NOT NULL,
    replays    INTEGER NOT NULL,
    arrived_at INTEGER NOT NULL,
    settled_at INTEGER NOT NULL,
    UNIQUE (project, key)
) STRICT;
CREATE INDEX deliveries_pending ON deliveries (id) WHERE outcome = 'pending';
CREATE INDEX deliveries_arrived ON deliveries (arrived_at);
CREATE INDEX deliveries_newest ON deliveries (project, id);

-- What the server shows to a project's repository and forge, or they to it. Values are sealed.
CREATE TABLE credentials (
    project    TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    sealed     BLOB NOT NULL,
    set_at     INTEGER NOT NULL,
    PRIMARY KEY (project, name)
) STRICT;
