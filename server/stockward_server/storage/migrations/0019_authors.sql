-- Who made, rotated, changed and ended keys, endpoints and their secrets; '' for what was done before it was recorded.
-- depends: 0018_product_search

-- migrate: apply
ALTER TABLE api_keys
    ADD COLUMN created_by text NOT NULL DEFAULT '',
    ADD COLUMN rotated_by text NOT NULL DEFAULT '', -- made the key in replaced_by
    ADD COLUMN revoked_by text NOT NULL DEFAULT '';
ALTER TABLE endpoints
    ADD COLUMN created_by text NOT NULL DEFAULT '',
    ADD COLUMN updated_by text NOT NULL DEFAULT '';
ALTER TABLE endpoint_secrets ADD COLUMN created_by text NOT NULL DEFAULT '';

-- migrate: rollback
ALTER TABLE api_keys DROP COLUMN created_by, DROP COLUMN rotated_by, DROP COLUMN revoked_by;
ALTER TABLE endpoints DROP COLUMN created_by, DROP COLUMN updated_by;
ALTER TABLE endpoint_secrets DROP COLUMN created_by;
