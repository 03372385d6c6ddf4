-- Payments by tender.
-- depends: 0008_movement_months

-- migrate: apply
ALTER TABLE payments ADD COLUMN payment_reference text NOT NULL DEFAULT '';
CREATE INDEX payments_tender ON payments (provider, payment_reference) WHERE payment_reference <> '';

-- migrate: rollback
DROP INDEX payments_tender;
ALTER TABLE payments DROP COLUMN payment_reference;
