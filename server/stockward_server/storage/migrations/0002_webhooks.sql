-- Webhooks: who is told, what is still to be told, and what became of it.
-- depends: 0001_core

-- migrate: apply
CREATE TABLE endpoints (
    endpoint_id text COLLATE "C" PRIMARY KEY,
    url text NOT NULL,
    description text NOT NULL,
    types text[] NOT NULL,                  -- 'order.created', 'order.*' or '*'
    max_in_flight int NOT NULL CHECK (max_in_flight > 0), -- requests of one gateway at the same time
    enabled boolean NOT NULL,
    disable_reason text NOT NULL DEFAULT '',
    create_time timestamptz NOT NULL,       -- it is told what happens from then on
    update_time timestamptz NOT NULL
);

-- Every secret that has not expired signs, so that a receiver can go over to a new one without a gap.
CREATE TABLE endpoint_secrets (
    endpoint_id text COLLATE "C" REFERENCES endpoints ON DELETE CASCADE,
    secret text NOT NULL,
    create_time timestamptz NOT NULL,
    expire_time timestamptz,
    PRIMARY KEY (endpoint_id, secret)
);

-- A lane is one aggregate's way to one endpoint, and a row here is a lane with something pending. Lanes are what
-- gateways claim: whoever holds one sends its deliveries one after another, which is what keeps their order.
--
-- `due_time` is both the time of the next attempt and, while the lane is claimed, the end of the lease. So one index
-- finds the next lanes of an endpoint, and costs the same whatever waits behind them: 100,000 deliveries to a dead
-- endpoint are lanes that are due later, in their own part of the index, and are not so much as looked at. Deliveries
-- behind the first one of a lane are in no queue at all.
CREATE TABLE lanes (
    endpoint_id text COLLATE "C",
    aggregate_id text COLLATE "C",
    due_time timestamptz NOT NULL,
    PRIMARY KEY (endpoint_id, aggregate_id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
CREATE INDEX lanes_due ON lanes (endpoint_id, due_time);

-- One event for one endpoint; the key is what makes a second copy of an event harmless. The payload is in `events`,
-- found by (seq, event_time). No foreign keys here: checking them for every row would cost more than the row.
CREATE TABLE deliveries (
    endpoint_id text COLLATE "C",
    event_id uuid,
    aggregate_id text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    event_time timestamptz NOT NULL,
    state smallint NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 3), -- pending, delivered, dead
    attempts int NOT NULL DEFAULT 0,
    finish_time timestamptz,
    PRIMARY KEY (endpoint_id, event_id)
);
CREATE INDEX deliveries_pending ON deliveries (endpoint_id, aggregate_id, seq) WHERE state = 1;

CREATE TABLE delivery_attempts (
    endpoint_id text COLLATE "C",
    event_id uuid,
    attempt int,
    start_time timestamptz NOT NULL,
    latency_ms int NOT NULL,
    status int,                             -- HTTP status; NULL when there was no answer
    error text NOT NULL,                    -- why it failed; empty when it was delivered
    excerpt text NOT NULL,                  -- first characters of the answer
    PRIMARY KEY (endpoint_id, event_id, attempt)
);

-- How far the stream has been fanned out: written in the transaction of the deliveries, so each message is fanned out
-- once and in order. The event's id tells whether the stream is still the one that `stream_seq` was counted in.
CREATE TABLE webhook_feed (
    stream text PRIMARY KEY,
    stream_seq bigint NOT NULL,
    event_id text NOT NULL
);

-- migrate: rollback
DROP TABLE webhook_feed, delivery_attempts, deliveries, lanes, endpoint_secrets, endpoints;
