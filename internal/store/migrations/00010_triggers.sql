-- +goose Up
-- Who let a change run that comes from people who may not push.
ALTER TABLE changes ADD COLUMN allowed_by TEXT NOT NULL DEFAULT '';
CREATE INDEX changes_project ON changes (project, id);

-- The times at which the pipelines of each project's default branch run by themselves. It fired last at since, or came
-- into being then; turn counts how often the clock was set back so far that times come again.
CREATE TABLE schedules (
    project    TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    pipeline   TEXT NOT NULL,
    cron       TEXT NOT NULL,
    zone       TEXT NOT NULL,
    since      INTEGER NOT NULL,
    next       INTEGER NOT NULL,
    turn       INTEGER NOT NULL,
    PRIMARY KEY (project, pipeline, cron, zone)
) STRICT;
CREATE INDEX schedules_next ON schedules (next);

-- The pipelines of each project's default branch that run after others.
CREATE TABLE followers (
    project    TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    pipeline   TEXT NOT NULL,
    after      TEXT NOT NULL,
    PRIMARY KEY (project, pipeline, after)
) STRICT;
CREATE INDEX followers_after ON followers (after);

-- The projects whose pipelines on the default branch start by tags: the others' need not be asked for.
CREATE TABLE tagged (
    project    TEXT PRIMARY KEY REFERENCES projects (id) ON DELETE CASCADE
) STRICT;
