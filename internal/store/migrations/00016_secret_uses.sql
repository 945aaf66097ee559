-- +goose Up
-- Which steps and deployments were given which secrets. They go with their run.
CREATE TABLE secret_uses (
    run         TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    step        TEXT NOT NULL,
    name        TEXT NOT NULL,
    environment TEXT NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (run, step, name)
) STRICT;
CREATE INDEX secret_uses_at ON secret_uses (at);
