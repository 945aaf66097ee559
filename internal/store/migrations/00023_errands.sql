-- +goose Up
-- Commands that people run in environments.
CREATE TABLE errands (
    id          TEXT PRIMARY KEY,
    environment TEXT NOT NULL REFERENCES environments (key) ON DELETE CASCADE,
    requested   INTEGER NOT NULL,
    ended       INTEGER NOT NULL, -- 0 while it may still end
    doc         TEXT NOT NULL
) STRICT;
CREATE INDEX errands_environment ON errands (environment, requested);
CREATE INDEX errands_open ON errands (ended) WHERE ended = 0;
