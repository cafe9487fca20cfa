-- Reminders that actors asked for, and what each partition holds, counted with the head.

-- Kept until the actor takes or removes it. `actor` all zero: the tenant.
CREATE TABLE reminder (
    actor     uuid   NOT NULL,
    due_at    bigint NOT NULL,          -- ms UTC
    period_ms bigint NOT NULL,          -- 0: once
    name      bytea  NOT NULL,
    data      bytea  NOT NULL,          -- the actor's own
    PRIMARY KEY (actor, name)
);
CREATE INDEX reminder_due ON reminder (due_at);

-- For quotas: cards that were issued, and bytes of events (bodies, and 120 for what goes with each).
ALTER TABLE partition ADD COLUMN cards bigint NOT NULL DEFAULT 0;
ALTER TABLE partition ADD COLUMN bytes bigint NOT NULL DEFAULT 0;
UPDATE partition SET
    cards = (SELECT count(*) FROM event e WHERE e.card_sequence = 1
             AND e.id BETWEEN partition.id << 56 AND partition.id << 56 | 72057594037927935),
    bytes = (SELECT coalesce(sum(length(e.body) + 120), 0) FROM event e
             WHERE e.id BETWEEN partition.id << 56 AND partition.id << 56 | 72057594037927935);

-- Notes of actors (ports/journal.h) as an archive brings them from the embedded store; this one keeps none itself yet.
CREATE TABLE note (
    key     bytea  PRIMARY KEY,
    is_open bigint NOT NULL,
    body    bytea  NOT NULL
);
