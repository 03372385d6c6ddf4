-- Orders that staff put on hold.
-- depends: 0024_sessions 0026_delivery_functions

-- migrate: apply
ALTER TABLE orders
    ADD COLUMN hold jsonb, -- reason, note, actor, time; NULL where staff have not put it on hold
    ADD COLUMN hold_expire_time timestamptz; -- when it ends by itself
CREATE INDEX orders_held_until ON orders (hold_expire_time) WHERE hold_expire_time IS NOT NULL;

-- migrate: rollback
ALTER TABLE orders DROP COLUMN hold, DROP COLUMN hold_expire_time;
