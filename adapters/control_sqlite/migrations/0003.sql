-- Feature flags of tenants (actors/ports/flags.h).

CREATE TABLE flag (
    tenant     TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    percent    INTEGER CHECK (percent BETWEEN 0 AND 100), -- NULL: unset; the row stays, so that the change is seen
    changed_at INTEGER NOT NULL,                           -- ms UTC
    change     INTEGER NOT NULL,                           -- rises with every change of any flag
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX flag_change ON flag (change);
