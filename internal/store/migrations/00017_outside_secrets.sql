-- +goose Up
-- The command of the server's settings that has a secret's value; empty where the value rests here.
ALTER TABLE secrets ADD COLUMN source TEXT NOT NULL DEFAULT '';
