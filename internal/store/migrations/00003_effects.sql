-- +goose Up
-- What has to be done because something changed. A key that is here, done or not, is never added again.
CREATE TABLE effects (
    seq        INTEGER PRIMARY KEY,
    key        TEXT NOT NULL UNIQUE,
    kind       TEXT NOT NULL,
    doc        TEXT NOT NULL,
    due        INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    last_error TEXT NOT NULL,
    done_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX effects_due ON effects (seq) WHERE done_at = 0;
CREATE INDEX effects_done ON effects (done_at);
