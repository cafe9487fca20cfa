-- Consumers of events and their cursors (actors/ports/consumers.h).

CREATE TABLE consumer (
    tenant        TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    registered_at INTEGER NOT NULL,     -- ms UTC
    seen_at       INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE consumer_cursor (
    tenant    TEXT    NOT NULL,
    name      TEXT    NOT NULL,
    partition INTEGER NOT NULL,
    sequence  INTEGER NOT NULL,         -- everything up to it is done
    PRIMARY KEY (tenant, name, partition)
) STRICT, WITHOUT ROWID;
