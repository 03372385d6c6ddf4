-- Orders found by what staff look for, and counted by state.
-- depends: 0031_lost_events

-- migrate: apply
-- What lists filter by and nothing else reads, as servers compute it: `indexed_version` is the version that it was made
-- of. Of an order that a server of an earlier release wrote it follows within a minute; until then `payment_state` is 0.
ALTER TABLE orders
    ADD COLUMN payment_state smallint NOT NULL DEFAULT 0,
    ADD COLUMN refund_required boolean NOT NULL DEFAULT false,
    ADD COLUMN held boolean NOT NULL DEFAULT false,
    ADD COLUMN net bigint NOT NULL DEFAULT 0,
    ADD COLUMN indexed_version bigint NOT NULL DEFAULT 0;
CREATE INDEX orders_unindexed ON orders (order_id) WHERE indexed_version <> version;
CREATE INDEX orders_state ON orders (state, payment_state, order_id);
DROP INDEX orders_pending;
CREATE INDEX orders_update_time ON orders (update_time, order_id);
CREATE INDEX orders_net ON orders (net, order_id);
CREATE INDEX orders_held ON orders (order_id) WHERE held;
CREATE INDEX orders_refund ON orders (order_id) WHERE refund_required;
CREATE INDEX orders_tags ON orders USING gin (tags) WHERE tags IS NOT NULL;
CREATE INDEX allocations_location ON allocations (location_id, order_id);
-- The states of an order depend on each other: an unpaid order that is fulfilled is rare.
CREATE STATISTICS orders_states (mcv) ON state, payment_state, refund_required, held FROM orders;

-- The words that an order is found by. They have personal data: they go with `order_contacts`. The list of pending entries
-- of the index is short, since every search reads all of it.
CREATE TABLE order_search (
    order_id uuid PRIMARY KEY,
    words tsvector NOT NULL
);
CREATE INDEX order_search_words ON order_search USING gin (words) WITH (gin_pending_list_limit = 256);

-- Numbers of orders, as changes that add up: writers only insert here, so none waits for another. Servers add up the
-- rows from time to time.
CREATE TABLE order_counts (
    state smallint NOT NULL,
    payment_state smallint NOT NULL,
    held boolean NOT NULL,
    refund_required boolean NOT NULL,
    orders bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);

CREATE FUNCTION count_orders() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO order_counts
        SELECT state, payment_state, held, refund_required, count(*) FROM present GROUP BY 1, 2, 3, 4;
    ELSE
        INSERT INTO order_counts
        SELECT state, payment_state, held, refund_required, sum(orders) FROM (
            SELECT state, payment_state, held, refund_required, 1 AS orders FROM present
            UNION ALL
            SELECT state, payment_state, held, refund_required, -1 FROM past
        ) AS changes
        GROUP BY 1, 2, 3, 4 HAVING sum(orders) <> 0;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER orders_inserted AFTER INSERT ON orders
    REFERENCING NEW TABLE AS present FOR EACH STATEMENT EXECUTE FUNCTION count_orders();
CREATE TRIGGER orders_updated AFTER UPDATE ON orders
    REFERENCING OLD TABLE AS past NEW TABLE AS present FOR EACH STATEMENT EXECUTE FUNCTION count_orders();
INSERT INTO order_counts SELECT state, 0, false, false, count(*) FROM orders GROUP BY state;

-- migrate: rollback
DROP TRIGGER orders_updated ON orders;
DROP TRIGGER orders_inserted ON orders;
DROP FUNCTION count_orders;
DROP TABLE order_counts, order_search;
DROP STATISTICS orders_states;
DROP INDEX allocations_location, orders_unindexed, orders_state, orders_update_time, orders_net, orders_held, orders_refund,
    orders_tags;
CREATE INDEX orders_pending ON orders (order_id) WHERE state = 1;
ALTER TABLE orders DROP COLUMN payment_state, DROP COLUMN refund_required, DROP COLUMN held, DROP COLUMN net,
    DROP COLUMN indexed_version;
