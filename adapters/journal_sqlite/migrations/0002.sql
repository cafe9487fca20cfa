-- Small rows that actors keep under names of their own (ports/journal.h): members and what is done to their cards,
-- watermarks of the inbox. Open ones are work that goes on when the tenant is opened.
CREATE TABLE note (
    key     TEXT    NOT NULL PRIMARY KEY,
    is_open INTEGER NOT NULL,
    body    BLOB    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX note_open ON note (key) WHERE is_open = 1;
