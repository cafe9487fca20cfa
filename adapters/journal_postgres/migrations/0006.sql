-- What the validations that went into archives add up to, so that read models which are made anew have it
-- (docs/decisions/0014). One row per number of the rollups (actors/projection_fold.h), of all archives together.
CREATE TABLE archived_sum (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- readers go along it
    series bigint NOT NULL,
    grain  bigint NOT NULL,
    start  bigint NOT NULL,            -- ms UTC
    kind   bigint NOT NULL,
    gate   bytea  NOT NULL,
    count  bigint NOT NULL,
    UNIQUE (series, grain, start, kind, gate)
);
