-- Variants whose stock is not tracked, and the order lines that were made of them.
-- depends: 0009_money

-- migrate: apply
ALTER TABLE variants ADD COLUMN untracked boolean NOT NULL DEFAULT false;
ALTER TABLE order_lines ADD COLUMN untracked boolean NOT NULL DEFAULT false;

-- migrate: rollback
ALTER TABLE order_lines DROP COLUMN untracked;
ALTER TABLE variants DROP COLUMN untracked;
