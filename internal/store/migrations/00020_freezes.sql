-- +goose Up
-- Freezes that reach further than one environment. Each environment that one covers has it in its own document as well.
CREATE TABLE freezes (
    scope      TEXT NOT NULL, -- project or name
    of         TEXT NOT NULL, -- the project's ID, or the environments' name
    until      INTEGER NOT NULL, -- 0: until somebody ends it
    doc        TEXT NOT NULL,
    PRIMARY KEY (scope, of)
) STRICT;
