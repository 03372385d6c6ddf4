-- What became of parcels.
-- depends: 0029_order_timeline

-- migrate: apply
ALTER TABLE fulfillments
    ADD COLUMN state smallint NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 4),
    ADD COLUMN update_time timestamptz; -- when tracking or state were last changed

-- migrate: rollback
ALTER TABLE fulfillments DROP COLUMN state, DROP COLUMN update_time;
