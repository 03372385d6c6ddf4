-- What happened to each order, kept as long as the order.
-- depends: 0028_order_details

-- migrate: apply
-- A row for each event of an order but its creation, which the order itself tells. No foreign key: orders are not
-- removed, and the check of one would cost as much as the row.
CREATE TABLE order_timeline (
    order_id uuid,
    version bigint,
    create_time timestamptz NOT NULL,
    type text COLLATE "C" NOT NULL,
    actor text NOT NULL,
    note text NOT NULL,
    customer_visible boolean NOT NULL,
    details jsonb, -- what it was about: lines, edits, fields, changed parcel, charge, hold
    PRIMARY KEY (order_id, version)
);
ALTER TABLE orders
    ADD COLUMN created_by text NOT NULL DEFAULT '', -- actor; '' for orders from before it was recorded
    ADD COLUMN cancel_reason text NOT NULL DEFAULT '';

-- migrate: rollback
ALTER TABLE orders DROP COLUMN created_by, DROP COLUMN cancel_reason;
DROP TABLE order_timeline;
