-- +goose Up
-- A lane is what waits alike: steps of one pipeline that ask the same of a worker. Who looks for a step judges lanes, of
-- which there are few, and takes the first step of one.
CREATE TABLE lanes (
    id         INTEGER PRIMARY KEY,
    project    TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    pipeline   TEXT NOT NULL,
    selector   TEXT NOT NULL,
    served     INTEGER NOT NULL,
    UNIQUE (pipeline, selector)
) STRICT;
ALTER TABLE queue ADD COLUMN lane INTEGER NOT NULL DEFAULT 0;
ALTER TABLE queue ADD COLUMN begun INTEGER NOT NULL DEFAULT 0;
INSERT INTO lanes (project, pipeline, selector, served)
    SELECT DISTINCT runs.project, runs.pipeline, queue.selector, 0 FROM queue JOIN runs ON runs.id = queue.run;
UPDATE queue SET lane = (
    SELECT lanes.id FROM lanes JOIN runs ON runs.pipeline = lanes.pipeline
    WHERE runs.id = queue.run AND lanes.selector = queue.selector
);
DROP INDEX queue_ready;
CREATE INDEX queue_waiting ON queue (lane, priority DESC, begun DESC, ready_at, run, step) WHERE worker = '';
CREATE INDEX queue_held ON queue (worker, call, lane) WHERE worker <> '';
CREATE INDEX queue_expiring ON queue (expires) WHERE worker <> '';

-- How urgent a project's steps are, and how many of each of its pipelines run at a time (0: as many as there are workers
-- for): its document's, for what is asked in SQL.
ALTER TABLE projects ADD COLUMN steps_at_once INTEGER NOT NULL DEFAULT 0;

-- What an administrator gave a worker besides what it says of itself, as JSON lists.
ALTER TABLE workers ADD COLUMN added TEXT NOT NULL DEFAULT '[]';
ALTER TABLE workers ADD COLUMN removed TEXT NOT NULL DEFAULT '[]';
ALTER TABLE workers ADD COLUMN drained_by TEXT NOT NULL DEFAULT '';
