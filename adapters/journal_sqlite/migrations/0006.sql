-- What the validations that went into archives add up to, so that read models which are made anew have it
-- (docs/decisions/0014). One row per number of the rollups (actors/projection_fold.h), of all archives together.
CREATE TABLE archived_sum (
    number INTEGER PRIMARY KEY,         -- readers go along it
    series INTEGER NOT NULL,
    grain  INTEGER NOT NULL,
    start  INTEGER NOT NULL,            -- ms UTC
    kind   INTEGER NOT NULL,
    gate   TEXT    NOT NULL,
    count  INTEGER NOT NULL,
    UNIQUE (series, grain, start, kind, gate)
) STRICT;
