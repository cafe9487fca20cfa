-- Format 2: lists of one tier and one status at a time read nothing else.
CREATE INDEX card_by_tier_and_status ON card (tier, status, issued_at, issue_event) WHERE tier <> '';
