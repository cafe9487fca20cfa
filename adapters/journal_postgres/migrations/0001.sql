-- Journal of one tenant, format 1: one database per tenant, owned by the tenant's role. What each table is for and
-- why it has this shape: ../README.md. Texts of members and clients are bytea: any byte may come, also NUL.

CREATE TABLE journal_schema (
    version integer NOT NULL
);

CREATE TABLE partition (
    id    bigint PRIMARY KEY,           -- 0 … n - 1
    epoch bigint NOT NULL DEFAULT 0,    -- raised by every open for writing
    head  bigint NOT NULL DEFAULT 0,    -- highest sequence
    owner text   NOT NULL DEFAULT ''    -- incarnation that raised the epoch last
) WITH (fillfactor = 10);               -- every batch updates its row: room for that within the page

-- Rows are only ever appended, per partition in order.
CREATE TABLE event (
    id            bigint   PRIMARY KEY, -- partition << 56 | sequence
    card_sequence bigint   NOT NULL,
    version       bigint   NOT NULL,
    occurred_at   bigint   NOT NULL,    -- ms UTC
    card          uuid     NOT NULL,
    event_id      uuid     NOT NULL,
    name          smallint NOT NULL,    -- enum event_name
    traceparent   bytea,
    body          bytea    NOT NULL,    -- event_data, msgpack by ids
    previous_hash bytea                 -- for the audit chain of the partition; NULL until it exists
);
CREATE UNIQUE INDEX event_by_card ON event (card, card_sequence);

-- Newest snapshot of a card, with the columns that lists and the sweep look for.
CREATE TABLE card (
    number        bigint   GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- order of issue: lists go backwards along it
    id            uuid     NOT NULL UNIQUE,
    expires_at    bigint   NOT NULL,    -- ms UTC
    card_sequence bigint   NOT NULL,    -- last event folded in
    status        smallint NOT NULL,    -- enum card_status, as of the last event
    member_id     bytea    NOT NULL,
    member_folded bytea    NOT NULL,    -- ASCII letters small: for prefixes in any case
    tier          bytea    NOT NULL,
    tier_folded   bytea    NOT NULL,
    body          bytea    NOT NULL     -- card_snapshot, msgpack by ids
) WITH (fillfactor = 85);
CREATE INDEX card_by_member ON card (member_id, number);
CREATE INDEX card_by_member_folded ON card (member_folded);
CREATE INDEX card_by_tier_folded ON card (tier_folded) WHERE tier_folded <> '';
CREATE INDEX card_by_status ON card (status, number);
-- Issued, active, suspended: the statuses that expiry can end.
CREATE INDEX card_due ON card (expires_at) WHERE status IN (1, 2, 3);

-- The key that a member's personal data is sealed under, itself sealed. Erasing a person deletes it.
CREATE TABLE member_key (
    member_id  bytea PRIMARY KEY,
    sealed_key bytea NOT NULL
);

CREATE TABLE idempotency (
    number       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recorded_at  bigint NOT NULL,       -- ms UTC
    key          bytea  NOT NULL UNIQUE,
    request_hash bytea  NOT NULL,       -- 32 bytes
    reply        bytea  NOT NULL        -- reply, msgpack by ids, sealed
);
CREATE INDEX idempotency_by_time ON idempotency (recorded_at);

-- Scans that identified no card; the oldest go.
CREATE TABLE refusal_log (
    number      bigint   GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recorded_at bigint   NOT NULL,
    reason      smallint NOT NULL,      -- enum reason
    gate        bytea    NOT NULL,
    code        bytea    NOT NULL       -- as scanned
);
