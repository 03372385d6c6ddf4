-- Orders that are exchanges for returns.
-- depends: 0034_returns

-- migrate: apply
CREATE TABLE order_exchanges (
    order_id uuid PRIMARY KEY REFERENCES orders ON DELETE CASCADE,
    of_order_id uuid NOT NULL,
    return_id uuid NOT NULL
);
CREATE INDEX order_exchanges_return ON order_exchanges (return_id);

-- migrate: rollback
DROP TABLE order_exchanges;
