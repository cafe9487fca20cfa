-- Control data of one installation, format 1. What each table is for: ../README.md.

CREATE TABLE control (
    id      integer PRIMARY KEY CHECK (id = 1),
    schema  integer NOT NULL,
    version bigint  NOT NULL,           -- rises with every change, in the same transaction
    prefix  text    NOT NULL            -- of the names of databases and roles: several installations share a server
);

CREATE TABLE tenant (
    name            text COLLATE "C" PRIMARY KEY,
    partitions      integer NOT NULL,
    created_at      bigint  NOT NULL,   -- ms UTC
    sealed_secret   bytea   NOT NULL,
    database        text    NOT NULL UNIQUE,
    role            text    NOT NULL UNIQUE,
    sealed_password bytea   NOT NULL
);

CREATE TABLE card_key (
    tenant        text COLLATE "C" NOT NULL REFERENCES tenant ON DELETE CASCADE,
    kid           bigint   NOT NULL,    -- from 1, never used again
    state         smallint NOT NULL,    -- enum key_state
    created_at    bigint   NOT NULL,
    sealed_secret bytea    NOT NULL,
    PRIMARY KEY (tenant, kid)
);
-- Whatever a program does, no tenant has two active keys.
CREATE UNIQUE INDEX card_key_active ON card_key (tenant) WHERE state = 1;

CREATE TABLE token_key (
    number             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kid                bytea  NOT NULL UNIQUE,
    sealed_private_jwk bytea  NOT NULL,
    public_jwk         bytea  NOT NULL,
    created_at         bigint NOT NULL
);

CREATE TABLE incarnation (
    number      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    role        text   NOT NULL,
    incarnation bigint NOT NULL,
    pid         bigint NOT NULL,
    started_at  bigint NOT NULL
);
