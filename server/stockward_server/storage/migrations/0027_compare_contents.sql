-- Optimistic batches compare contents, not only versions.
-- depends: 0026_delivery_functions

-- migrate: apply
-- A standby that takes over without having everything gives versions anew, to other contents than a server remembers.
DROP FUNCTION lock_remembered;

-- What an order, a hold or an adjustment depends on of an offer, as one number.
CREATE FUNCTION offer_fingerprint(variant variants, product products) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT hashtextextended(concat_ws(
        chr(31), product.title, variant.title, variant.currency, variant.price, product.state, variant.untracked,
        variant.sku_since, EXISTS (SELECT FROM former_skus WHERE name = variant.sku)
    ), 0)
$$;

-- Locks the stock rows of these SKUs to the end of the transaction, in the global order, and returns the time when all is as
-- the caller remembered it: its clock, each row at each location, each offer. Otherwise it raises, and nothing is written;
-- DETAIL has the SKUs that differ. A function that is not STABLE sees in each of its statements what was committed before, so
-- the offers are read after the locks were granted. The transaction gets its id before anything draws a seq: readers of the event
-- log rely on it.
CREATE FUNCTION lock_remembered(
    remembered_time timestamptz, tolerance interval,
    skus text[], location_ids text[], contents text[], offers text[], fingerprints bigint[]
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
        SELECT s.sku, s.location_id, concat_ws(
            ' ', s.version, s.on_hand, s.reserved, s.allocated, s.safety_stock, coalesce(s.reorder_point::text, '-'),
            s.backorder_limit, s.alert_level, l.priority, l.active
        ) AS content
        FROM stock s JOIN locations l USING (location_id)
        WHERE s.sku = ANY(offers) ORDER BY s.sku, s.location_id FOR NO KEY UPDATE OF s
    ) AS now
    FULL JOIN unnest(skus, location_ids, contents) AS before (sku, location_id, content) USING (sku, location_id)
    WHERE now.content IS DISTINCT FROM before.content;
    IF differing IS NULL THEN
        SELECT array_agg(before.sku) INTO differing
        FROM unnest(offers, fingerprints) AS before (sku, fingerprint)
        LEFT JOIN (variants v JOIN products p USING (product_id)) ON v.sku = before.sku
        WHERE offer_fingerprint(v, p) IS DISTINCT FROM before.fingerprint;
    END IF;
    IF differing IS NOT NULL THEN
        RAISE EXCEPTION 'stock changed since it was remembered'
            USING ERRCODE = 'serialization_failure', DETAIL = array_to_json(differing);
    END IF;
    RETURN clock_timestamp();
END $$;

-- migrate: rollback
DROP FUNCTION lock_remembered, offer_fingerprint;
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

