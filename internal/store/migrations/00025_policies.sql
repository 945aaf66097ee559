-- +goose Up
-- What the server allows of environments, whatever their pipeline files say. One may be there before its environment, which has it in
-- its own document as well.
CREATE TABLE policies (
    environment TEXT PRIMARY KEY, -- "pipeline/name"
    project     TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    doc         TEXT NOT NULL
) STRICT;
