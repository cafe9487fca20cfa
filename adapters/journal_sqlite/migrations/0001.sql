-- Journal of one tenant, format 1. What each table is for and why it has this shape: ../README.md.

-- One row: whose journal this is. A file under the name of another tenant is refused.
CREATE TABLE meta (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    tenant TEXT    NOT NULL
) STRICT;

CREATE TABLE partition (
    id    INTEGER PRIMARY KEY,          -- 0 … n - 1
    epoch INTEGER NOT NULL DEFAULT 0,   -- raised by every open for writing
    head  INTEGER NOT NULL DEFAULT 0,   -- highest sequence
    owner TEXT    NOT NULL DEFAULT ''   -- incarnation that raised the epoch last
) STRICT;

-- Rows are only ever appended, per partition in order.
CREATE TABLE event (
    id            INTEGER PRIMARY KEY,  -- partition << 56 | sequence
    previous      INTEGER NOT NULL,     -- sequence of the card's event before this one; 0: it is the first
    card          BLOB    NOT NULL,     -- 16 bytes
    card_sequence INTEGER NOT NULL,
    name          INTEGER NOT NULL,     -- enum event_name
    version       INTEGER NOT NULL,
    occurred_at   INTEGER NOT NULL,     -- ms UTC
    event_id      BLOB    NOT NULL,     -- 16 bytes
    traceparent   TEXT,
    body          BLOB    NOT NULL,     -- event_data, msgpack by ids
    previous_hash BLOB                  -- for the audit chain of the partition; NULL until it exists
) STRICT;

-- Where the chain of a card's events ends: one small row per card, however many events it has.
CREATE TABLE card_head (
    card          BLOB    NOT NULL PRIMARY KEY,
    last_event    INTEGER NOT NULL,     -- event.id
    card_sequence INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Newest snapshot of a card, with the columns that lists and the sweep look for.
CREATE TABLE card (
    number        INTEGER PRIMARY KEY,  -- order of issue: lists go backwards along it
    id            BLOB    NOT NULL UNIQUE,
    member_id     TEXT    NOT NULL COLLATE NOCASE,
    tier          TEXT    NOT NULL COLLATE NOCASE,
    status        INTEGER NOT NULL,     -- enum card_status, as of the last event
    expires_at    INTEGER NOT NULL,     -- ms UTC
    card_sequence INTEGER NOT NULL,     -- last event folded in
    body          BLOB    NOT NULL      -- card_snapshot, msgpack by ids
) STRICT;
CREATE INDEX card_by_member ON card (member_id);
CREATE INDEX card_by_tier ON card (tier) WHERE tier <> '';
CREATE INDEX card_by_status ON card (status);
-- Issued, active, suspended: the statuses that expiry can end.
CREATE INDEX card_due ON card (expires_at) WHERE status IN (1, 2, 3);

-- The key that a member's personal data is sealed under, itself sealed. Erasing a person deletes it.
CREATE TABLE member_key (
    member_id  TEXT NOT NULL PRIMARY KEY,
    sealed_key BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
    number       INTEGER PRIMARY KEY,   -- replies stand in order of arrival, so that they fill pages
    key          TEXT    NOT NULL UNIQUE,
    request_hash BLOB    NOT NULL,      -- 32 bytes
    reply        BLOB    NOT NULL,      -- reply, msgpack by ids
    recorded_at  INTEGER NOT NULL       -- ms UTC
) STRICT;
CREATE INDEX idempotency_by_time ON idempotency (recorded_at);

-- Scans that identified no card; the oldest go.
CREATE TABLE refusal_log (
    number      INTEGER PRIMARY KEY,
    recorded_at INTEGER NOT NULL,
    reason      INTEGER NOT NULL,       -- enum reason
    gate        TEXT    NOT NULL,
    code        BLOB    NOT NULL        -- as scanned
) STRICT;
