-- Lanes of deliveries are claimed in one round trip, and recorded and released in one.
-- depends: 0025_optimistic_limits

-- migrate: apply
-- Claims due lanes of each endpoint, up to so many free places, for the length of a lease; returns each with its next deliveries,
-- or with none where there is no room for the bytes of their events. The first event of every lane comes before the second of any,
-- and the last one may exceed the room. Deliveries are read after the lanes are locked: a lane may have been released a moment ago,
-- with attempts that the snapshot that found it due does not show.
CREATE FUNCTION claim_lanes(
    endpoint_ids text[], places int[], lease interval, rooms bigint[], total_room bigint, deliveries_of_lane int
) RETURNS TABLE (
    endpoint_id text, aggregate_id text, lease_end timestamptz, event_id text, attempts int, past_attempts int, payload bytea,
    traceparent text
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    endpoints_claimed text[];
    aggregates_claimed text[];
    ends timestamptz[];
BEGIN
    WITH due AS MATERIALIZED (
        SELECT next.*
        FROM unnest(endpoint_ids, places) AS free (endpoint_id, places),
            LATERAL (SELECT endpoint_id, aggregate_id FROM lanes
                     WHERE endpoint_id = free.endpoint_id AND due_time <= now()
                     ORDER BY due_time LIMIT free.places FOR UPDATE SKIP LOCKED) next
    ), claimed AS (
        UPDATE lanes l SET due_time = clock_timestamp() + lease
        FROM due WHERE l.endpoint_id = due.endpoint_id AND l.aggregate_id = due.aggregate_id
        RETURNING l.endpoint_id, l.aggregate_id, l.due_time
    )
    SELECT array_agg(endpoint_id), array_agg(aggregate_id), array_agg(due_time)
    INTO endpoints_claimed, aggregates_claimed, ends FROM claimed;
    IF ends IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT lane.endpoint_id, lane.aggregate_id, lane.lease_end, d.event_id, d.attempts, d.past_attempts, d.payload,
           d.traceparent
    FROM unnest(endpoints_claimed, aggregates_claimed, ends) AS lane (endpoint_id, aggregate_id, lease_end)
    LEFT JOIN (
        SELECT found.*, sum(size) OVER (ORDER BY place, seq, endpoint_id) - size AS before,
               sum(size) OVER (PARTITION BY endpoint_id ORDER BY place, seq) - size AS before_of_endpoint
        FROM (
            SELECT lane.*, room.bytes AS room, d.event_id::text AS event_id, d.seq, d.attempts, d.past_attempts, d.place,
                   e.payload, coalesce(octet_length(e.payload), 0) AS size, coalesce(e.traceparent, '') AS traceparent
            FROM unnest(endpoints_claimed, aggregates_claimed) AS lane (endpoint_id, aggregate_id)
                JOIN unnest(endpoint_ids, rooms) AS room (endpoint_id, bytes) USING (endpoint_id),
                LATERAL (SELECT event_id, seq, event_time, attempts, past_attempts,
                                row_number() OVER (ORDER BY seq) AS place FROM deliveries
                         WHERE endpoint_id = lane.endpoint_id AND aggregate_id = lane.aggregate_id AND state = 1
                         ORDER BY seq LIMIT deliveries_of_lane) d
                LEFT JOIN LATERAL (SELECT payload, traceparent FROM events
                                   WHERE seq = d.seq AND create_time = d.event_time OFFSET 0) e ON true
        ) AS found
    ) AS d ON d.endpoint_id = lane.endpoint_id AND d.aggregate_id = lane.aggregate_id
        AND d.before < total_room AND d.before_of_endpoint < d.room
    ORDER BY d.seq;
END $$;

-- Records attempts and releases lanes, a lane only while its lease is valid. Lanes are locked before their deliveries are read: a
-- function that is not STABLE sees in each of its statements what was committed before. So a fan-out that adds a delivery either
-- has committed and is visible, or waits here and then inserts the lane again.
CREATE FUNCTION record_deliveries(
    endpoint_ids text[], event_ids uuid[], attempts int[], states smallint[], start_times timestamptz[], latencies int[],
    statuses int[], errors text[], excerpts text[],
    lane_endpoints text[], lane_aggregates text[], lease_ends timestamptz[], delays interval[]
) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM FROM lanes l JOIN unnest(lane_endpoints, lane_aggregates) AS r (endpoint_id, aggregate_id)
        USING (endpoint_id, aggregate_id)
    ORDER BY l.endpoint_id, l.aggregate_id FOR UPDATE OF l;
    WITH made AS (
        SELECT * FROM unnest(endpoint_ids, event_ids, attempts, states, start_times, latencies, statuses, errors, excerpts)
            AS a (endpoint_id, event_id, attempt, state, start_time, latency_ms, status, error, excerpt)
    ), logged AS (
        INSERT INTO delivery_attempts (endpoint_id, event_id, attempt, start_time, latency_ms, status, error, excerpt)
        SELECT endpoint_id, event_id, attempt, start_time, latency_ms, status, error, excerpt FROM made
        ON CONFLICT DO NOTHING
    )
    UPDATE deliveries d SET state = made.state, attempts = made.attempt,
        finish_time = CASE WHEN made.state > 1 THEN clock_timestamp() END
    FROM made WHERE d.endpoint_id = made.endpoint_id AND d.event_id = made.event_id AND d.state = 1;
    WITH released AS (
        SELECT r.*, EXISTS (
            SELECT FROM deliveries d WHERE d.endpoint_id = r.endpoint_id
            AND d.aggregate_id = r.aggregate_id AND d.state = 1) AS has_more
        FROM unnest(lane_endpoints, lane_aggregates, lease_ends, delays) AS r (endpoint_id, aggregate_id, lease_end, delay)
    ), kept AS (
        UPDATE lanes l SET due_time = clock_timestamp() + r.delay FROM released r
        WHERE (l.endpoint_id, l.aggregate_id, l.due_time) = (r.endpoint_id, r.aggregate_id, r.lease_end) AND r.has_more
    )
    DELETE FROM lanes l USING released r
    WHERE (l.endpoint_id, l.aggregate_id, l.due_time) = (r.endpoint_id, r.aggregate_id, r.lease_end) AND NOT r.has_more;
END $$;

-- migrate: rollback
DROP FUNCTION claim_lanes, record_deliveries;
