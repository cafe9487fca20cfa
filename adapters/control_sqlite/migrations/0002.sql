-- Commands set aside because they killed their role (actors/ports/dead_letters.h).

CREATE TABLE dead_letter (
    fingerprint    BLOB    NOT NULL PRIMARY KEY, -- 16 bytes
    state          INTEGER NOT NULL,             -- enum dead_letter_state
    tenant         TEXT    NOT NULL,
    type           INTEGER NOT NULL,             -- enum request_type
    actor          BLOB    NOT NULL,             -- id of the card
    kills          INTEGER NOT NULL,
    stored_at      INTEGER NOT NULL,             -- ms UTC
    reason         TEXT    NOT NULL,
    trace_id       TEXT    NOT NULL,
    request_size   INTEGER NOT NULL,
    sealed_request BLOB    NOT NULL,             -- empty: too large to be kept
    outcome        TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX dead_letter_tenant ON dead_letter (tenant, stored_at);
