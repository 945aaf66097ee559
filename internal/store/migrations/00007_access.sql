-- +goose Up
CREATE TABLE accounts (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    email      TEXT NOT NULL,
    password   TEXT NOT NULL,
    administrator INTEGER NOT NULL,
    disabled   INTEGER NOT NULL,
    created    INTEGER NOT NULL
) STRICT;
CREATE INDEX accounts_email ON accounts (email);

CREATE TABLE groups (
    name       TEXT PRIMARY KEY,
    created    INTEGER NOT NULL
) STRICT;

CREATE TABLE memberships (
    group_name TEXT NOT NULL REFERENCES groups (name) ON DELETE CASCADE,
    account    TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    PRIMARY KEY (group_name, account)
) STRICT;
CREATE INDEX memberships_account ON memberships (account);

-- A role in a project ('*' is every project), of an account or of a group: one of the two is empty.
CREATE TABLE roles (
    project    TEXT NOT NULL,
    account    TEXT NOT NULL,
    group_name TEXT NOT NULL,
    role       TEXT NOT NULL,
    PRIMARY KEY (project, account, group_name)
) STRICT;

CREATE TABLE sessions (
    hash       TEXT PRIMARY KEY,
    account    TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    created    INTEGER NOT NULL,
    expires    INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_account ON sessions (account);

CREATE TABLE tokens (
    account    TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    hash       TEXT NOT NULL UNIQUE,
    project    TEXT NOT NULL,
    permissions TEXT NOT NULL,
    created    INTEGER NOT NULL,
    expires    INTEGER NOT NULL,
    used       INTEGER NOT NULL,
    PRIMARY KEY (account, name)
) STRICT;

-- One-time links by which a person signs in and sets a password.
CREATE TABLE links (
    hash       TEXT PRIMARY KEY,
    account    TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    expires    INTEGER NOT NULL
) STRICT;

-- Each record's hash covers the record before it.
CREATE TABLE audit (
    seq        INTEGER PRIMARY KEY,
    at         INTEGER NOT NULL,
    actor      TEXT NOT NULL,
    action     TEXT NOT NULL,
    object     TEXT NOT NULL,
    detail     TEXT NOT NULL,
    hash       TEXT NOT NULL
) STRICT;

-- Values are sealed. Environments and branches say where a secret may go.
CREATE TABLE secrets (
    project    TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    sealed     BLOB NOT NULL,
    environments TEXT NOT NULL,
    branches   TEXT NOT NULL,
    set_at     INTEGER NOT NULL,
    PRIMARY KEY (project, name)
) STRICT;
