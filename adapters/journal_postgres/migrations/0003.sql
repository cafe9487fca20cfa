-- Open notes are found again whenever a tenant is opened.

CREATE INDEX note_open ON note (key) WHERE is_open = 1;
