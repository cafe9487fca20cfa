-- Webhooks and what became of their deliveries (actors/ports/webhooks.h).

CREATE TABLE webhook (
    tenant           text COLLATE "C" NOT NULL,
    name             text COLLATE "C" NOT NULL,
    url              text   NOT NULL,
    created_at       bigint NOT NULL,            -- ms UTC
    disabled         text   NOT NULL DEFAULT '', -- why; empty: it is active
    sealed_secret    bytea  NOT NULL,
    sealed_previous  bytea,
    previous_until   bigint NOT NULL DEFAULT 0,  -- ms UTC: both secrets sign before
    replay_partition bigint NOT NULL DEFAULT 0,
    replay_next      bigint NOT NULL DEFAULT 0,
    replay_last      bigint NOT NULL DEFAULT 0,  -- 0: no replay is under way
    PRIMARY KEY (tenant, name)
);

CREATE TABLE webhook_delivery (
    tenant    text COLLATE "C" NOT NULL,
    name      text COLLATE "C" NOT NULL,
    partition bigint NOT NULL,
    sequence  bigint NOT NULL,
    event     text   NOT NULL,
    card      text   NOT NULL,
    attempts  bigint NOT NULL,
    first_at  bigint NOT NULL,
    last_at   bigint NOT NULL,
    status    bigint NOT NULL,                   -- of the answer; 0: none
    state     bigint NOT NULL,                   -- 0 delivered, 1 retrying, 2 given up
    detail    text   NOT NULL,
    PRIMARY KEY (tenant, name, partition, sequence),
    FOREIGN KEY (tenant, name) REFERENCES webhook ON DELETE CASCADE
);
