-- The catalogue, the stock, the orders, and the record of events.
-- depends:

-- migrate: apply
-- Text that is compared and sorted is in the "C" collation: the lock order (sku, location_id) must not hang on a locale.

CREATE TABLE products (
    product_id uuid PRIMARY KEY,
    handle text COLLATE "C" NOT NULL UNIQUE,
    title text NOT NULL,
    description text NOT NULL,
    vendor text NOT NULL,
    product_type text NOT NULL,
    tags text[] NOT NULL,
    images jsonb NOT NULL,
    attributes jsonb NOT NULL,
    state smallint NOT NULL CHECK (state BETWEEN 1 AND 4),
    scheduled_publish_time timestamptz,
    publish_time timestamptz,
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    version bigint NOT NULL,
    search tsvector NOT NULL
);
CREATE INDEX products_search ON products USING gin (search);
CREATE INDEX products_create_time ON products (create_time, product_id);
CREATE INDEX products_update_time ON products (update_time, product_id);
CREATE INDEX products_title ON products (title COLLATE "C", product_id);
CREATE INDEX products_scheduled ON products (scheduled_publish_time) WHERE scheduled_publish_time IS NOT NULL;

CREATE TABLE variants (
    sku text COLLATE "C" PRIMARY KEY,
    product_id uuid NOT NULL REFERENCES products ON DELETE CASCADE,
    position int NOT NULL,
    title text NOT NULL,
    currency text NOT NULL,
    price bigint NOT NULL CHECK (price >= 0),
    compare_at_price bigint CHECK (compare_at_price >= 0),
    cost_currency text,
    cost bigint CHECK (cost >= 0),
    options jsonb NOT NULL,
    barcode text NOT NULL,
    weight_grams bigint NOT NULL,
    image_url text NOT NULL
);
CREATE INDEX variants_product ON variants (product_id, position);

CREATE TABLE locations (
    location_id text COLLATE "C" PRIMARY KEY,
    name text NOT NULL,
    priority int NOT NULL,
    active boolean NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now()
);
INSERT INTO locations (location_id, name, priority, active) VALUES ('main', 'Main', 0, true);

-- Half-empty pages and no index on a counter: updates of a hot row stay on its page (HOT) and touch no index.
CREATE TABLE stock (
    sku text COLLATE "C" REFERENCES variants,
    location_id text COLLATE "C" REFERENCES locations,
    on_hand bigint NOT NULL CHECK (on_hand >= 0),
    reserved bigint NOT NULL CHECK (reserved >= 0),
    allocated bigint NOT NULL CHECK (allocated >= 0),
    safety_stock bigint NOT NULL DEFAULT 0,
    reorder_point bigint,
    backorder_limit bigint NOT NULL DEFAULT 0,
    alert_level smallint NOT NULL DEFAULT 0,
    version bigint NOT NULL,
    update_time timestamptz NOT NULL,
    PRIMARY KEY (sku, location_id)
) WITH (fillfactor = 50);

CREATE TABLE movements (
    movement_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sku text COLLATE "C" NOT NULL,
    location_id text COLLATE "C" NOT NULL,
    kind smallint NOT NULL,
    reason smallint NOT NULL,
    on_hand_delta bigint NOT NULL,
    reserved_delta bigint NOT NULL,
    allocated_delta bigint NOT NULL,
    on_hand bigint NOT NULL,
    reserved bigint NOT NULL,
    allocated bigint NOT NULL,
    reference text COLLATE "C" NOT NULL,
    note text NOT NULL,
    actor text NOT NULL,
    create_time timestamptz NOT NULL
);
CREATE INDEX movements_stock ON movements (sku, location_id, movement_id);
CREATE INDEX movements_reference ON movements (reference) WHERE reference <> '';

CREATE TABLE stock_alerts (
    alert_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sku text COLLATE "C" NOT NULL,
    location_id text COLLATE "C" NOT NULL,
    level smallint NOT NULL,
    available bigint NOT NULL,
    reorder_point bigint,
    raise_time timestamptz NOT NULL,
    clear_time timestamptz
);
CREATE UNIQUE INDEX stock_alerts_standing ON stock_alerts (sku, location_id) WHERE clear_time IS NULL;

CREATE TABLE reservations (
    reservation_id uuid PRIMARY KEY,
    state smallint NOT NULL CHECK (state BETWEEN 1 AND 4),
    customer_id text NOT NULL,
    expire_time timestamptz NOT NULL,
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    order_id uuid,
    version bigint NOT NULL
);
CREATE INDEX reservations_due ON reservations (expire_time) WHERE state = 1;

CREATE TABLE reservation_lines (
    reservation_id uuid REFERENCES reservations ON DELETE CASCADE,
    sku text COLLATE "C" NOT NULL,
    location_id text COLLATE "C" NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (reservation_id, sku, location_id)
);
CREATE INDEX reservation_lines_stock ON reservation_lines (sku, location_id);

CREATE TABLE orders (
    order_id uuid PRIMARY KEY,
    state smallint NOT NULL CHECK (state BETWEEN 1 AND 6),
    currency text NOT NULL,
    payment_terms smallint NOT NULL,
    payment_due_time timestamptz,
    authorized bigint NOT NULL DEFAULT 0,
    voided bigint NOT NULL DEFAULT 0,
    captured bigint NOT NULL DEFAULT 0,
    refunded bigint NOT NULL DEFAULT 0,
    payment_failed boolean NOT NULL DEFAULT false,
    charges jsonb,
    customer_id text NOT NULL,
    reference text NOT NULL,
    reservation_id uuid,
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE INDEX orders_pending ON orders (order_id) WHERE state = 1;
CREATE INDEX orders_due ON orders (payment_due_time) WHERE state = 1;
CREATE INDEX orders_customer ON orders (customer_id, order_id) WHERE customer_id <> '';
CREATE INDEX orders_reference ON orders (reference, order_id) WHERE reference <> '';

-- Personal data, apart from what an order is: it can be erased without touching the books.
CREATE TABLE order_contacts (
    order_id uuid PRIMARY KEY REFERENCES orders ON DELETE CASCADE,
    email text NOT NULL,
    name text NOT NULL,
    shipping_address jsonb,
    billing_address jsonb
);

CREATE TABLE order_lines (
    order_id uuid REFERENCES orders ON DELETE CASCADE,
    line_number int,
    sku text COLLATE "C" NOT NULL,
    title text NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    unit_price bigint NOT NULL CHECK (unit_price >= 0),
    price_override_reason text NOT NULL,
    fulfilled bigint NOT NULL DEFAULT 0 CHECK (fulfilled >= 0),
    cancelled bigint NOT NULL DEFAULT 0 CHECK (cancelled >= 0),
    returned bigint NOT NULL DEFAULT 0 CHECK (returned BETWEEN 0 AND fulfilled),
    PRIMARY KEY (order_id, line_number),
    CHECK (fulfilled + cancelled <= quantity)
);
CREATE INDEX order_lines_sku ON order_lines (sku, order_id);

-- Open claims only: a row goes when its units are fulfilled or given up.
CREATE TABLE allocations (
    order_id uuid REFERENCES orders ON DELETE CASCADE,
    line_number int,
    location_id text COLLATE "C",
    sku text COLLATE "C" NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (order_id, line_number, location_id)
);
CREATE INDEX allocations_stock ON allocations (sku, location_id);

CREATE TABLE fulfillments (
    fulfillment_id uuid PRIMARY KEY,
    order_id uuid NOT NULL REFERENCES orders ON DELETE CASCADE,
    lines jsonb NOT NULL,
    tracking_number text NOT NULL,
    carrier text NOT NULL,
    create_time timestamptz NOT NULL
);
CREATE INDEX fulfillments_order ON fulfillments (order_id);

CREATE TABLE payments (
    provider text,
    provider_event_id text,
    order_id uuid NOT NULL REFERENCES orders ON DELETE CASCADE,
    kind smallint NOT NULL,
    amount bigint NOT NULL CHECK (amount >= 0),
    event_time timestamptz NOT NULL,
    create_time timestamptz NOT NULL,
    PRIMARY KEY (provider, provider_event_id)
);
CREATE INDEX payments_order ON payments (order_id);

-- One row a mutation, written in the transaction of its effect (AIP-155).
CREATE TABLE idempotency (
    actor text COLLATE "C",
    request_id uuid,
    method text NOT NULL,
    fingerprint bytea NOT NULL,
    response bytea NOT NULL,
    create_time timestamptz NOT NULL,
    PRIMARY KEY (actor, request_id)
);
CREATE INDEX idempotency_create_time ON idempotency USING brin (create_time);

-- The record of events. `seq` is drawn while the aggregate's row is locked, so it orders the events of one aggregate.
CREATE SEQUENCE event_seq;
CREATE TABLE events (
    seq bigint NOT NULL DEFAULT nextval('event_seq'),
    create_time timestamptz NOT NULL,
    event_id uuid NOT NULL,
    type text COLLATE "C" NOT NULL,
    aggregate_type text COLLATE "C" NOT NULL,
    aggregate_id text COLLATE "C" NOT NULL,
    aggregate_version bigint NOT NULL,
    payload bytea NOT NULL,
    PRIMARY KEY (seq, create_time)
) PARTITION BY RANGE (create_time);
CREATE INDEX events_aggregate ON events (aggregate_id, seq);
CREATE TABLE events_default PARTITION OF events DEFAULT;

-- What is still to be published. A pending event is a row here; it goes when JetStream has it.
CREATE TABLE outbox (
    seq bigint PRIMARY KEY,
    shard smallint NOT NULL,
    create_time timestamptz NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);

CREATE TABLE api_keys (
    key_id uuid PRIMARY KEY,
    name text NOT NULL,
    role smallint NOT NULL CHECK (role BETWEEN 1 AND 3),
    prefix text NOT NULL,
    hash bytea NOT NULL UNIQUE,
    create_time timestamptz NOT NULL DEFAULT now(),
    revoke_time timestamptz
);

-- migrate: rollback
DROP TABLE api_keys, outbox, events, idempotency, payments, fulfillments, allocations, order_lines, order_contacts, orders,
    reservation_lines, reservations, stock_alerts, movements, stock, locations, variants, products;
DROP SEQUENCE event_seq;
