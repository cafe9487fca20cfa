-- Tokens revoked before their end (actors/ports/revocations.h).

CREATE TABLE revoked_token (
    hash       BLOB    NOT NULL PRIMARY KEY, -- SHA-256
    expires_at INTEGER NOT NULL              -- ms UTC; the row goes after that
) STRICT, WITHOUT ROWID;
