-- What one of several services on this store does for all, and which one (webhooks.c).

CREATE TABLE claim (
    name    text COLLATE "C" PRIMARY KEY,
    owner   text   NOT NULL,
    epoch   bigint NOT NULL,  -- rises when another one takes over
    ends_at bigint NOT NULL   -- ms UTC by the clock of this server
);
