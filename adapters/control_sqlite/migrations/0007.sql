-- Webhooks and what became of their deliveries (actors/ports/webhooks.h).

CREATE TABLE webhook (
    tenant           TEXT    NOT NULL,
    name             TEXT    NOT NULL,
    url              TEXT    NOT NULL,
    created_at       INTEGER NOT NULL,           -- ms UTC
    disabled         TEXT    NOT NULL DEFAULT '', -- why; empty: it is active
    sealed_secret    BLOB    NOT NULL,
    sealed_previous  BLOB,
    previous_until   INTEGER NOT NULL DEFAULT 0, -- ms UTC: both secrets sign before
    replay_partition INTEGER NOT NULL DEFAULT 0,
    replay_next      INTEGER NOT NULL DEFAULT 0,
    replay_last      INTEGER NOT NULL DEFAULT 0, -- 0: no replay is under way
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE webhook_delivery (
    tenant    TEXT    NOT NULL,
    name      TEXT    NOT NULL,
    partition INTEGER NOT NULL,
    sequence  INTEGER NOT NULL,
    event     TEXT    NOT NULL,
    card      TEXT    NOT NULL,
    attempts  INTEGER NOT NULL,
    first_at  INTEGER NOT NULL,
    last_at   INTEGER NOT NULL,
    status    INTEGER NOT NULL,                  -- of the answer; 0: none
    state     INTEGER NOT NULL,                  -- 0 delivered, 1 retrying, 2 given up
    detail    TEXT    NOT NULL,
    PRIMARY KEY (tenant, name, partition, sequence)
) STRICT, WITHOUT ROWID;
