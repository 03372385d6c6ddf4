-- References that only one order of a sales channel may have.
-- depends: 0035_exchanges

-- migrate: apply
-- Locks a number for each reference to the end of the transaction, in the order of the numbers, and then returns the
-- orders that have them. In one round trip: a function that is not STABLE sees in its second statement what was committed
-- while the first one waited.
CREATE FUNCTION lock_references(wanted text[], seed bigint)
RETURNS TABLE (channel text, reference text, order_id uuid) LANGUAGE plpgsql SET plan_cache_mode = 'force_generic_plan' AS $$
#variable_conflict use_column
BEGIN
    PERFORM pg_advisory_xact_lock(number) FROM (
        SELECT DISTINCT hashtextextended(w.reference, seed) AS number FROM unnest(wanted) AS w (reference) ORDER BY number
    ) AS sorted;
    RETURN QUERY
    SELECT created_by, reference, order_id FROM orders WHERE reference = ANY(wanted) AND reference <> '';
END $$;

-- migrate: rollback
DROP FUNCTION lock_references;
