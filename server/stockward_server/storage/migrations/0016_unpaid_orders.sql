-- How much each customer has ordered and not paid for.
-- depends: 0015_seal_key

-- migrate: apply
ALTER TABLE orders ADD COLUMN actor text NOT NULL DEFAULT ''; -- the key that made it for no customer, where that is limited
CREATE INDEX orders_of_key ON orders (actor, order_id) WHERE actor <> '' AND state = 1;

-- Locks a number for each buyer to the end of the transaction, in the order of the numbers, and then counts what each has
-- ordered since `oldest` and not paid for. In one round trip: a function that is not STABLE sees in its second statement
-- what was committed while the first one waited.
CREATE FUNCTION lock_buyers(customer_ids text[], actors text[], seed bigint, oldest uuid, moment timestamptz)
RETURNS TABLE (customer_id text, actor text, orders bigint, units bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM pg_advisory_xact_lock(number) FROM (
        SELECT DISTINCT hashtextextended(b.customer_id || chr(31) || b.actor, seed) AS number
        FROM unnest(customer_ids, actors) AS b (customer_id, actor) ORDER BY number
    ) AS sorted;
    RETURN QUERY
    SELECT b.customer_id, b.actor, count(*), coalesce(sum(l.units), 0)::bigint
    FROM unnest(customer_ids, actors) AS b (customer_id, actor)
    CROSS JOIN LATERAL (
        SELECT o.order_id FROM orders o
        WHERE b.customer_id <> '' AND o.customer_id = b.customer_id AND o.customer_id <> '' AND o.order_id >= oldest
          AND o.state = 1 AND NOT o.terms_met AND o.payment_due_time > moment
        UNION ALL
        SELECT o.order_id FROM orders o
        WHERE b.actor <> '' AND o.actor = b.actor AND o.actor <> '' AND o.order_id >= oldest
          AND o.state = 1 AND NOT o.terms_met AND o.payment_due_time > moment
    ) AS o
    CROSS JOIN LATERAL (
        SELECT sum(quantity - cancelled) FILTER (WHERE NOT untracked) AS units FROM order_lines
        WHERE order_lines.order_id = o.order_id
    ) AS l
    GROUP BY b.customer_id, b.actor;
END $$;

-- migrate: rollback
DROP FUNCTION lock_buyers;
ALTER TABLE orders DROP COLUMN actor;
