-- +goose Up
-- How the branch did before is asked at the end of every run.
CREATE INDEX runs_branch ON runs (pipeline, branch, number);
