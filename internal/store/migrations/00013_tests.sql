-- +goose Up
-- What the tests of an attempt came to. report is the whole of it and outcomes the part that later reports are compared
-- with, both as package report encodes them; totals is JSON.
CREATE TABLE test_reports (
    run        TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    step       TEXT NOT NULL,
    attempt    INTEGER NOT NULL,
    pipeline   TEXT NOT NULL,
    number     INTEGER NOT NULL,
    branch     TEXT NOT NULL,
    revision   TEXT NOT NULL,
    at         INTEGER NOT NULL,
    totals     TEXT NOT NULL,
    outcomes   BLOB NOT NULL,
    report     BLOB NOT NULL,
    PRIMARY KEY (run, step, attempt)
) STRICT;
CREATE INDEX test_reports_branch ON test_reports (pipeline, step, branch, at);
CREATE INDEX test_reports_revision ON test_reports (pipeline, step, revision, at);
