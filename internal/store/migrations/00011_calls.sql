-- +goose Up
-- Which of its worker's calls a lease answers: a call that was not answered is made again under the same name.
ALTER TABLE queue ADD COLUMN call TEXT NOT NULL DEFAULT '';
