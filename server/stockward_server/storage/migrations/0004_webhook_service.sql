-- Webhook endpoints under management: what each is sent besides the event, how much of it, and since when it fails.
-- depends: 0002_webhooks 0003_event_retention

-- migrate: apply
ALTER TABLE endpoints
    ADD COLUMN headers jsonb NOT NULL DEFAULT '{}',           -- name: value, sent with every request
    ADD COLUMN rate_limit double precision CHECK (rate_limit > 0), -- requests a second of one gateway; NULL: unlimited
    ADD COLUMN max_body_bytes int NOT NULL DEFAULT 20480 CHECK (max_body_bytes > 0), -- a greater event is sent thin
    ADD COLUMN managed boolean NOT NULL DEFAULT true,          -- by WebhookService; false: by the settings
    ADD COLUMN version bigint NOT NULL DEFAULT 1,              -- of what staff can change; its etag
    ADD COLUMN event_version bigint NOT NULL DEFAULT 0,        -- aggregate_version of the latest event about it
    ADD COLUMN failing_since timestamptz,                      -- no delivery has succeeded since; NULL: the last one did
    ADD COLUMN warn_time timestamptz;                          -- when its failing was told
UPDATE endpoints SET managed = false WHERE endpoint_id IN ('storefront', 'pms');

-- `attempts` number the log and are never taken back; the schedule of retries begins anew after `past_attempts`.
ALTER TABLE deliveries
    ADD COLUMN past_attempts int NOT NULL DEFAULT 0,           -- attempts before it was last asked for anew
    DROP CONSTRAINT deliveries_state_check,
    ADD CONSTRAINT deliveries_state_check CHECK (state BETWEEN 1 AND 4); -- pending, delivered, dead, skipped
CREATE INDEX deliveries_dead ON deliveries (endpoint_id, event_id) WHERE state = 3;

-- migrate: rollback
DROP INDEX deliveries_dead;
UPDATE deliveries SET state = 3 WHERE state = 4;
ALTER TABLE deliveries
    DROP COLUMN past_attempts,
    DROP CONSTRAINT deliveries_state_check,
    ADD CONSTRAINT deliveries_state_check CHECK (state BETWEEN 1 AND 3);
DELETE FROM endpoints WHERE managed;
ALTER TABLE endpoints
    DROP COLUMN headers, DROP COLUMN rate_limit, DROP COLUMN max_body_bytes, DROP COLUMN managed, DROP COLUMN version,
    DROP COLUMN event_version, DROP COLUMN failing_since, DROP COLUMN warn_time;
