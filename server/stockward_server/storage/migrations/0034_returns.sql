-- Returns of orders.
-- depends: 0033_one_plan

-- migrate: apply
CREATE TABLE order_returns (
    return_id uuid PRIMARY KEY,
    order_id uuid NOT NULL REFERENCES orders ON DELETE CASCADE,
    state smallint NOT NULL CHECK (state BETWEEN 1 AND 5),
    lines jsonb NOT NULL, -- [[line number, announced, received, damaged], ...]
    reason text NOT NULL,
    note text NOT NULL,
    tracking_number text NOT NULL,
    carrier text NOT NULL,
    label_url text NOT NULL,
    actor text NOT NULL,
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL
);
CREATE INDEX order_returns_order ON order_returns (order_id);

-- migrate: rollback
DROP TABLE order_returns;
