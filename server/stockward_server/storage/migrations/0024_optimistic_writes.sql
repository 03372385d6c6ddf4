-- The check of a batch that was decided before its rows were locked.
-- depends: 0023_search_statistics

-- migrate: apply
-- Locks the stock rows of these SKUs to the end of the transaction, in the global order, and returns the time when all is as
-- the caller remembered it: its clock, each row at its version, each offer at the version of its product. Otherwise it raises,
-- and nothing is written; DETAIL has the SKUs that differ. A function that is not STABLE sees in each of its statements what
-- was committed before, so the offers are read after the locks were granted. The transaction gets its id before anything draws
-- a seq: readers of the event log rely on it.
CREATE FUNCTION lock_remembered(
    remembered_time timestamptz, tolerance interval,
    skus text[], location_ids text[], versions bigint[], priorities int[], actives boolean[],
    offers text[], product_ids uuid[], product_versions bigint[]
) RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
    differing text[];
BEGIN
    PERFORM pg_current_xact_id();
    IF remembered_time NOT BETWEEN clock_timestamp() - tolerance AND clock_timestamp() + tolerance THEN
        RAISE EXCEPTION 'the clock of the caller is off' USING ERRCODE = 'serialization_failure';
    END IF;
    SELECT array_agg(sku) INTO differing
    FROM (
        SELECT s.sku, s.location_id, s.version, l.priority, l.active FROM stock s JOIN locations l USING (location_id)
        WHERE s.sku = ANY(offers) ORDER BY s.sku, s.location_id FOR NO KEY UPDATE OF s
    ) AS now
    FULL JOIN unnest(skus, location_ids, versions, priorities, actives)
        AS before (sku, location_id, version, priority, active) USING (sku, location_id)
    WHERE (now.version, now.priority, now.active) IS DISTINCT FROM (before.version, before.priority, before.active);
    IF differing IS NULL THEN
        SELECT array_agg(before.sku) INTO differing
        FROM unnest(offers, product_ids, product_versions) AS before (sku, product_id, version)
        LEFT JOIN (variants JOIN products USING (product_id)) ON variants.sku = before.sku
        WHERE (products.product_id, products.version) IS DISTINCT FROM (before.product_id, before.version);
    END IF;
    IF differing IS NOT NULL THEN
        RAISE EXCEPTION 'stock changed since it was remembered'
            USING ERRCODE = 'serialization_failure', DETAIL = array_to_json(differing);
    END IF;
    RETURN clock_timestamp();
END $$;

-- migrate: rollback
DROP FUNCTION lock_remembered;
