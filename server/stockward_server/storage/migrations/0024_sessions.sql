-- Sessions: keys that end by themselves and with the key that made them. And the role of those who only look.
-- depends: 0023_search_statistics

-- migrate: apply
ALTER TABLE api_keys
    DROP CONSTRAINT api_keys_role_check,
    ADD CONSTRAINT api_keys_role_check CHECK (role BETWEEN 1 AND 4),
    ADD COLUMN session_of uuid REFERENCES api_keys,
    ADD COLUMN link boolean NOT NULL DEFAULT false; -- good for one session and nothing else
CREATE INDEX api_keys_sessions ON api_keys (session_of, expire_time) WHERE session_of IS NOT NULL;

-- migrate: rollback
DELETE FROM api_keys WHERE session_of IS NOT NULL OR role > 3;
ALTER TABLE api_keys DROP COLUMN session_of, DROP COLUMN link,
    DROP CONSTRAINT api_keys_role_check,
    ADD CONSTRAINT api_keys_role_check CHECK (role BETWEEN 1 AND 3);
