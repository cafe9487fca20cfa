-- Tokens revoked before their end (actors/ports/revocations.h).

CREATE TABLE revoked_token (
    hash       bytea  PRIMARY KEY, -- SHA-256
    expires_at bigint NOT NULL     -- ms UTC; the row goes after that
);
