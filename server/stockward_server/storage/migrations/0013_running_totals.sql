-- Payment events whose amount is everything so far.
-- depends: 0012_skus

-- migrate: apply
ALTER TABLE payments ADD COLUMN running_total boolean NOT NULL DEFAULT false;

-- migrate: rollback
ALTER TABLE payments DROP COLUMN running_total;
