-- Control data of one installation, format 1. What each table is for: ../README.md.

CREATE TABLE meta (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL            -- rises with every change, in the same transaction
) STRICT;
INSERT INTO meta (id, version) VALUES (1, 1);

CREATE TABLE tenant (
    name          TEXT    NOT NULL PRIMARY KEY,
    partitions    INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,     -- ms UTC
    sealed_secret BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE card_key (
    tenant        TEXT    NOT NULL,
    kid           INTEGER NOT NULL,     -- from 1, never used again
    state         INTEGER NOT NULL,     -- enum key_state
    created_at    INTEGER NOT NULL,
    sealed_secret BLOB    NOT NULL,
    PRIMARY KEY (tenant, kid)
) STRICT, WITHOUT ROWID;
-- Whatever a program does, no tenant has two active keys.
CREATE UNIQUE INDEX card_key_active ON card_key (tenant) WHERE state = 1;

CREATE TABLE token_key (
    number             INTEGER PRIMARY KEY,
    kid                TEXT    NOT NULL UNIQUE,
    sealed_private_jwk BLOB    NOT NULL,
    public_jwk         TEXT    NOT NULL,
    created_at         INTEGER NOT NULL
) STRICT;

CREATE TABLE incarnation (
    number      INTEGER PRIMARY KEY,
    role        TEXT    NOT NULL,
    incarnation INTEGER NOT NULL,
    pid         INTEGER NOT NULL,
    started_at  INTEGER NOT NULL
) STRICT;
