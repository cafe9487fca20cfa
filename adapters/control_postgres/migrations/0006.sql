-- Consumers of events and their cursors (actors/ports/consumers.h).

CREATE TABLE consumer (
    tenant        text COLLATE "C" NOT NULL,
    name          text COLLATE "C" NOT NULL,
    registered_at bigint NOT NULL,      -- ms UTC
    seen_at       bigint NOT NULL,
    PRIMARY KEY (tenant, name)
);

CREATE TABLE consumer_cursor (
    tenant    text COLLATE "C" NOT NULL,
    name      text COLLATE "C" NOT NULL,
    partition bigint NOT NULL,
    sequence  bigint NOT NULL,          -- everything up to it is done
    PRIMARY KEY (tenant, name, partition),
    FOREIGN KEY (tenant, name) REFERENCES consumer ON DELETE CASCADE
);
