-- Optimistic batches of callers whose holds or unpaid orders are limited.
-- depends: 0024_optimistic_writes

-- migrate: apply
-- Locks a number for each holder to the end of the transaction, in the order of the numbers, and then counts what each holds, as
-- lock_buyers does for unpaid orders.
CREATE FUNCTION lock_holders(customer_ids text[], actors text[], seed bigint, moment timestamptz)
RETURNS TABLE (customer_id text, actor text, holds bigint, units bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM pg_advisory_xact_lock(number) FROM (
        SELECT DISTINCT hashtextextended(h.customer_id || chr(31) || h.actor, seed) AS number
        FROM unnest(customer_ids, actors) AS h (customer_id, actor) ORDER BY number
    ) AS sorted;
    RETURN QUERY
    SELECT customer_id, actor, count(DISTINCT reservation_id),
           coalesce(sum(quantity) FILTER (WHERE location_id <> ''), 0)::bigint
    FROM unnest(customer_ids, actors) AS holder (customer_id, actor)
    JOIN reservations USING (customer_id, actor) JOIN reservation_lines USING (reservation_id)
    WHERE state = 1 AND expire_time > moment GROUP BY customer_id, actor;
END $$;

-- Raises unless there is room below a limit.
CREATE FUNCTION require_room(there_is boolean) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF NOT there_is THEN
        RAISE EXCEPTION 'a limit is reached' USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN true;
END $$;

-- migrate: rollback
DROP FUNCTION lock_holders, require_room;
