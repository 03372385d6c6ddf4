-- Payments by tender; shares of charges with the lines; charges that are added later.
-- depends: 0008_movement_months

-- migrate: apply
-- Nothing is computed here: servers of the release before may go on making orders. The shares of open orders are computed
-- when these are read, and whether terms were met is stored when the sweeper comes to them; orders that are over stay as
-- they are.
-- The tables in the order in which servers lock them. What `charges` has no room for, in the same order: lines, reason, actor, time.
ALTER TABLE orders ADD COLUMN charge_details jsonb;
-- Whether the payment terms were met once: then the sweeper leaves the order alone.
ALTER TABLE orders ADD COLUMN terms_met boolean NOT NULL DEFAULT false;
-- The fields of domain.charge.LineShares, in minor units; NULL where the line has no share in any charge.
ALTER TABLE order_lines ADD COLUMN shares jsonb;
ALTER TABLE payments ADD COLUMN payment_reference text NOT NULL DEFAULT '';
CREATE INDEX payments_tender ON payments (provider, payment_reference) WHERE payment_reference <> '';

-- migrate: rollback
ALTER TABLE order_lines DROP COLUMN shares;
ALTER TABLE orders DROP COLUMN terms_met, DROP COLUMN charge_details;
DROP INDEX payments_tender;
ALTER TABLE payments DROP COLUMN payment_reference;
