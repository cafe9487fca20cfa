-- Read models of one tenant, format 1. Derived from the journal: a file of another format is thrown away and made
-- anew, so there are never migrations here, only a new number in its place. Why it has this shape: ../README.md.

-- One row: whose read models these are, and whether they have once reached the head of the journal.
CREATE TABLE meta (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    tenant     TEXT    NOT NULL,
    created_at INTEGER NOT NULL,        -- of the tenant, ms UTC: tells it from an earlier one of that name
    complete   INTEGER NOT NULL
) STRICT;

-- How far each partition is folded in; moves in the transaction that stores what follows from it.
CREATE TABLE cursor (
    partition   INTEGER PRIMARY KEY,
    sequence    INTEGER NOT NULL,
    event_id    BLOB    NOT NULL,       -- of the last event: another one there means another history
    occurred_at INTEGER NOT NULL
) STRICT;

-- Cards. Lists go backwards along (issued_at, issue_event), so every index ends with the two.
CREATE TABLE card (
    number      INTEGER PRIMARY KEY,
    id          BLOB    NOT NULL UNIQUE,
    issued_at   INTEGER NOT NULL,
    issue_event INTEGER NOT NULL,       -- partition << 56 | sequence of CardIssued
    member_id   TEXT    NOT NULL COLLATE NOCASE,
    tier        TEXT    NOT NULL COLLATE NOCASE,
    status      INTEGER NOT NULL,       -- enum card_status, as of the last event
    expires_at  INTEGER NOT NULL,
    words       BLOB    NOT NULL,       -- keyed hashes of the words of the holder's name, 8 bytes each
    body        BLOB    NOT NULL        -- card_snapshot, msgpack by ids; the name in it is sealed
) STRICT;
CREATE INDEX card_by_issue ON card (issued_at, issue_event);
CREATE INDEX card_by_member ON card (member_id, issued_at, issue_event);
CREATE INDEX card_by_tier ON card (tier, issued_at, issue_event) WHERE tier <> '';
CREATE INDEX card_by_status ON card (status, issued_at, issue_event);
CREATE INDEX card_by_expiry ON card (expires_at, issued_at, issue_event);
-- Issued, active, suspended: the statuses that the clock may have ended.
CREATE INDEX card_due ON card (expires_at, issued_at, issue_event) WHERE status IN (1, 2, 3);

-- Which cards have a word in their holder's name, newest last.
CREATE TABLE word (
    word        INTEGER NOT NULL,
    issued_at   INTEGER NOT NULL,
    issue_event INTEGER NOT NULL,
    card        INTEGER NOT NULL,       -- card.number
    PRIMARY KEY (word, issued_at, issue_event)
) STRICT, WITHOUT ROWID;

-- Rollups: numbers that add up. What series and kind mean: actors/projection_fold.h.
CREATE TABLE counter (
    series INTEGER NOT NULL,
    grain  INTEGER NOT NULL,            -- enum grain
    start  INTEGER NOT NULL,            -- ms UTC
    kind   INTEGER NOT NULL,
    gate   TEXT    NOT NULL,
    count  INTEGER NOT NULL,
    PRIMARY KEY (series, grain, start, kind, gate)
) STRICT, WITHOUT ROWID;
