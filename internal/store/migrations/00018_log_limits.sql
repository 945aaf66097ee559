-- +goose Up
-- How many bytes an attempt's log may have, as its worker was told with its lease; 0: it was told nothing.
ALTER TABLE queue ADD COLUMN log_limit INTEGER NOT NULL DEFAULT 0;
