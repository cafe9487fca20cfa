-- Validations may be gone into archives (docs/decisions/0012): up to which sequence, and how many.
ALTER TABLE partition ADD COLUMN archived_to INTEGER NOT NULL DEFAULT 0;
ALTER TABLE partition ADD COLUMN archived INTEGER NOT NULL DEFAULT 0;

-- What went, one row per archive.
CREATE TABLE archive (
    number      INTEGER PRIMARY KEY,
    before      INTEGER NOT NULL,       -- ms UTC: validations that are older
    archived_at INTEGER NOT NULL,       -- ms UTC
    events      INTEGER NOT NULL,
    hash        BLOB    NOT NULL        -- BLAKE2b-256 of its rows
) STRICT;
