-- +goose Up
-- What steps kept for later ones. An entry never changes; who may read it is said by its scope. paths is what was kept, as
-- the pipeline file has it, in JSON: an entry of other paths is another one.
CREATE TABLE cache_entries (
    id         INTEGER PRIMARY KEY,
    project    TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    scope      TEXT NOT NULL,
    key        TEXT NOT NULL,
    paths      TEXT NOT NULL,
    run        TEXT NOT NULL,
    size       INTEGER NOT NULL,
    kept_at    INTEGER NOT NULL,
    used_at    INTEGER NOT NULL,
    UNIQUE (project, scope, key, paths)
) STRICT;
CREATE INDEX cache_entries_used ON cache_entries (project, used_at);

CREATE TABLE cache_trees (
    entry      INTEGER NOT NULL REFERENCES cache_entries (id) ON DELETE CASCADE,
    position   INTEGER NOT NULL,
    path       TEXT NOT NULL,
    digest     TEXT NOT NULL,
    files      INTEGER NOT NULL,
    size       INTEGER NOT NULL,
    PRIMARY KEY (entry, position)
) STRICT;
CREATE INDEX cache_trees_digest ON cache_trees (digest);
