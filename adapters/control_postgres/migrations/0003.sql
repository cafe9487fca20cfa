-- Feature flags of tenants (actors/ports/flags.h).

CREATE TABLE flag (
    tenant     text COLLATE "C" NOT NULL,
    name       bytea    NOT NULL,
    percent    smallint CHECK (percent BETWEEN 0 AND 100), -- null: unset; the row stays, so that the change is seen
    changed_at bigint   NOT NULL,                          -- ms UTC
    change     bigint   NOT NULL UNIQUE,                   -- rises with every change of any flag
    PRIMARY KEY (tenant, name)
);
