-- Format 2: lists of one tier and one status at a time read nothing else.
CREATE INDEX card_by_tier_and_status ON card (tier, status, issued_at, issue_event) WHERE tier <> '';
-- With the status in it, what is due is found without a look at any card.
DROP INDEX card_due;
CREATE INDEX card_due ON card (expires_at, issued_at, issue_event, status) WHERE status IN (1, 2, 3);
