-- Reminders that actors asked for, and what each partition holds, counted with the head.

-- Kept until the actor takes or removes it. `actor` all zero: the tenant.
CREATE TABLE reminder (
    actor     BLOB    NOT NULL,         -- 16 bytes
    name      TEXT    NOT NULL,
    due_at    INTEGER NOT NULL,         -- ms UTC
    period_ms INTEGER NOT NULL,         -- 0: once
    data      BLOB    NOT NULL,         -- the actor's own
    PRIMARY KEY (actor, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX reminder_due ON reminder (due_at);

-- For quotas: cards that were issued, and bytes of events (bodies, and 120 for what goes with each).
ALTER TABLE partition ADD COLUMN cards INTEGER NOT NULL DEFAULT 0;
ALTER TABLE partition ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
UPDATE partition SET
    cards = (SELECT count(*) FROM card_head WHERE last_event >> 56 = partition.id),
    bytes = (SELECT coalesce(sum(length(body) + 120), 0) FROM event
             WHERE event.id BETWEEN partition.id << 56 AND partition.id << 56 | 0xffffffffffffff);
