-- API keys that end by themselves, are rotated, and tell when they were last used.
-- depends: 0004_webhook_service

-- migrate: apply
ALTER TABLE api_keys
    ADD COLUMN expire_time timestamptz, -- NULL: never
    ADD COLUMN replaced_by uuid REFERENCES api_keys; -- by a rotation

-- Apart from the keys: it is written while they are read.
CREATE TABLE api_key_uses (
    key_id uuid PRIMARY KEY REFERENCES api_keys ON DELETE CASCADE,
    last_used_time timestamptz NOT NULL
) WITH (fillfactor = 50);

-- migrate: rollback
DROP TABLE api_key_uses;
ALTER TABLE api_keys DROP COLUMN expire_time, DROP COLUMN replaced_by;
