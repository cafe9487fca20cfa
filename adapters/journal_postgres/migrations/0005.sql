-- Validations stand in a table per month, everything else in one that stays, and what was archived is on record
-- (../README.md, docs/decisions/0012). Nothing is copied: the table of before becomes the one that stays.

ALTER TABLE event RENAME TO event_kept;
ALTER INDEX event_pkey RENAME TO event_kept_pkey;
ALTER INDEX event_by_card RENAME TO event_kept_by_card;
ALTER TABLE event_kept ADD COLUMN month integer NOT NULL DEFAULT 0 CHECK (month = 0);

-- `month`: 0 stays; -1 is January 1970, -2 February 1970, …, so that the newest month is the first that is looked into.
-- Indexes are each table's own: the month is in none of them.
CREATE TABLE event (LIKE event_kept INCLUDING DEFAULTS) PARTITION BY LIST (month);
ALTER TABLE event ATTACH PARTITION event_kept FOR VALUES IN (0);

-- The tables of months that are there.
CREATE TABLE event_month (
    month integer PRIMARY KEY
);

-- Makes the table of a month when it is missing. Waits for nobody and holds nobody up: only a second one that makes a table.
CREATE OR REPLACE FUNCTION event_month_ensure(wanted integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    months integer := -1 - wanted;
    name text := format('event_%s_%s', 1970 + months / 12, lpad((months % 12 + 1)::text, 2, '0'));
BEGIN
    IF wanted >= 0 OR EXISTS (SELECT FROM event_month WHERE month = wanted) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(4847294728366);
    INSERT INTO event_month (month) VALUES (wanted) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE event INCLUDING DEFAULTS, PRIMARY KEY (id), CHECK (month = %s))', name, wanted);
    EXECUTE format('CREATE UNIQUE INDEX %I ON %I (card, card_sequence)', name || '_by_card', name);
    EXECUTE format('ALTER TABLE event ATTACH PARTITION %I FOR VALUES IN (%s)', name, wanted);
END
$$;

-- Validations up to this sequence may be gone into archives, and how many are.
ALTER TABLE partition ADD COLUMN archived_to bigint NOT NULL DEFAULT 0;
ALTER TABLE partition ADD COLUMN archived bigint NOT NULL DEFAULT 0;

-- What went, one row per archive.
CREATE TABLE archive (
    number      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    before      bigint NOT NULL,        -- ms UTC: validations that are older
    archived_at bigint NOT NULL,        -- ms UTC
    events      bigint NOT NULL,
    hash        bytea  NOT NULL         -- BLAKE2b-256 of its rows
);
