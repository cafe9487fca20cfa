-- Commands set aside because they killed their role (actors/ports/dead_letters.h).

CREATE TABLE dead_letter (
    fingerprint    bytea    PRIMARY KEY, -- 16 bytes
    state          smallint NOT NULL,    -- enum dead_letter_state
    tenant         text COLLATE "C" NOT NULL,
    type           smallint NOT NULL,    -- enum request_type
    actor          bytea    NOT NULL,    -- id of the card
    kills          bigint   NOT NULL,
    stored_at      bigint   NOT NULL,    -- ms UTC
    reason         bytea    NOT NULL,
    trace_id       bytea    NOT NULL,
    request_size   bigint   NOT NULL,
    sealed_request bytea    NOT NULL,    -- empty: too large to be kept
    outcome        bytea    NOT NULL
);
CREATE INDEX dead_letter_tenant ON dead_letter (tenant, stored_at);
