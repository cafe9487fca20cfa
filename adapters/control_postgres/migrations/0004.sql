-- Quotas of tenants (actors/tenant_quota.c); 0: none.
ALTER TABLE tenant ADD COLUMN max_cards bigint NOT NULL DEFAULT 0;
ALTER TABLE tenant ADD COLUMN max_storage bigint NOT NULL DEFAULT 0; -- bytes
ALTER TABLE tenant ADD COLUMN max_rate bigint NOT NULL DEFAULT 0;    -- requests a second
