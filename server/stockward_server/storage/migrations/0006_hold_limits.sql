-- Who holds what, so that nobody parks the stock.
-- depends: 0005_keys

-- migrate: apply
ALTER TABLE reservations ADD COLUMN actor text NOT NULL DEFAULT ''; -- the key that made it for no customer in particular
CREATE INDEX reservations_held ON reservations (customer_id, actor) WHERE state = 1;

-- migrate: rollback
DROP INDEX reservations_held;
ALTER TABLE reservations DROP COLUMN actor;
