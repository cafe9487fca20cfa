-- Read models of one tenant, format 1, in a schema of their own in the tenant's database. Derived from the journal:
-- another format is thrown away and made anew, so there are never migrations here, only a new number in its place.
-- Why it has this shape: ../README.md. Texts of members and clients are bytea: any byte may come, also NUL.

-- One row: whose read models these are, and whether they have once reached the head of the journal.
CREATE TABLE meta (
    id         bigint PRIMARY KEY CHECK (id = 1),
    format     bigint NOT NULL,
    created_at bigint NOT NULL,         -- of the tenant, ms UTC: tells it from an earlier one of that name
    complete   bigint NOT NULL,
    tenant     bytea  NOT NULL
);

-- How far each partition is folded in; moves in the transaction that stores what follows from it.
CREATE TABLE cursor (
    partition   bigint PRIMARY KEY,
    sequence    bigint NOT NULL,
    occurred_at bigint NOT NULL,
    event_id    bytea  NOT NULL         -- of the last event: another one there means another history
) WITH (fillfactor = 10);               -- every commit updates its row: room for that within the page

-- Cards. Lists go backwards along (issued_at, issue_event), so every index ends with the two.
CREATE TABLE card (
    issued_at     bigint NOT NULL,
    issue_event   bigint NOT NULL,      -- partition << 56 | sequence of CardIssued
    status        bigint NOT NULL,      -- enum card_status, as of the last event
    expires_at    bigint NOT NULL,
    id            uuid   NOT NULL PRIMARY KEY,
    member_id     bytea  NOT NULL,
    member_folded bytea  NOT NULL,      -- ASCII letters small: for prefixes in any case
    tier          bytea  NOT NULL,
    tier_folded   bytea  NOT NULL,
    body          bytea  NOT NULL       -- card_snapshot, msgpack by ids; the name in it is sealed
) WITH (fillfactor = 85);
CREATE UNIQUE INDEX card_by_issue ON card (issued_at, issue_event);
CREATE INDEX card_by_member ON card (member_id, issued_at, issue_event);
CREATE INDEX card_by_member_folded ON card (member_folded, issued_at, issue_event);
CREATE INDEX card_by_tier ON card (tier, issued_at, issue_event) WHERE tier <> '';
CREATE INDEX card_by_tier_folded ON card (tier_folded, issued_at, issue_event) WHERE tier_folded <> '';
CREATE INDEX card_by_status ON card (status, issued_at, issue_event);
CREATE INDEX card_by_expiry ON card (expires_at, issued_at, issue_event);
-- Issued, active, suspended: the statuses that the clock may have ended.
CREATE INDEX card_due ON card (expires_at, issued_at, issue_event) WHERE status IN (1, 2, 3);

-- Keyed hashes of the words of holders' names.
CREATE TABLE word (
    word        bigint NOT NULL,
    issued_at   bigint NOT NULL,        -- of the card
    issue_event bigint NOT NULL,
    PRIMARY KEY (word, issued_at, issue_event)
);
CREATE INDEX word_by_card ON word (issue_event); -- to forget them

-- Rollups: numbers that add up. What series and kind mean: actors/projection_fold.h.
CREATE TABLE counter (
    series bigint NOT NULL,
    grain  bigint NOT NULL,             -- enum grain
    start  bigint NOT NULL,             -- ms UTC
    kind   bigint NOT NULL,
    gate   bytea  NOT NULL,
    count  bigint NOT NULL,
    PRIMARY KEY (series, grain, start, kind, gate)
) WITH (fillfactor = 70);
