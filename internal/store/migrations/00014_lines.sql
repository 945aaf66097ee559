-- +goose Up
-- The runs of a line that have not ended: each that ends asks who waits for it.
CREATE INDEX runs_line ON runs (pipeline, branch, state);
