-- +goose Up
-- What is told of a deployment afterwards: its plan, what it changed, and what its keeper did.
CREATE TABLE chronicles (
    deployment TEXT PRIMARY KEY REFERENCES deployments (id) ON DELETE CASCADE,
    complete   INTEGER NOT NULL, -- 0: its commits are to be looked up
    doc        TEXT NOT NULL
) STRICT;
CREATE INDEX chronicles_complete ON chronicles (complete) WHERE complete = 0;

CREATE TABLE journal (
    deployment TEXT NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    began      INTEGER NOT NULL,
    operation  TEXT NOT NULL,
    doc        TEXT NOT NULL,
    PRIMARY KEY (deployment, began, operation)
) STRICT;
