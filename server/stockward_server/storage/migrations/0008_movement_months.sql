-- The ledger by months, so that old ones can go as a whole; opening balances are what they came to.
-- depends: 0007_traces
-- transaction: false

-- migrate: apply
-- Several transactions, so that the ledger is read through while others write it; each does nothing where it is done.
--
-- An autovacuum of it ends when somebody has waited for a second. Nobody else has to wait behind this lock.
DO $$
BEGIN
    SET LOCAL lock_timeout = '5s';
    LOCK TABLE movements IN SHARE UPDATE EXCLUSIVE MODE;
END $$;

-- The table stays as it is and becomes the first partition, of everything up to the end of next month, whose name it
-- gets. What proves that nothing in it is later is a constraint of that name, which new rows meet for a month at least.
DO $$
DECLARE
    until date := date_trunc('month', now() AT TIME ZONE 'UTC') + interval '2 months';
BEGIN
    IF EXISTS (SELECT FROM pg_class WHERE oid = 'movements'::regclass AND relkind = 'r') AND NOT EXISTS (
        SELECT FROM pg_constraint WHERE conrelid = 'movements'::regclass AND conname ~ '^movements_[0-9]{6}$'
    ) THEN
        EXECUTE format('ALTER TABLE movements ADD CONSTRAINT %I CHECK (create_time < %L) NOT VALID',
                       to_char(until - 1, '"movements_"YYYYMM'), until::timestamp AT TIME ZONE 'UTC');
    END IF;
END $$;

DO $$
DECLARE
    first text;
BEGIN
    SET LOCAL lock_timeout = '5s'; -- as above
    FOR first IN SELECT conname FROM pg_constraint
        WHERE conrelid = 'movements'::regclass AND conname ~ '^movements_[0-9]{6}$'
    LOOP
        EXECUTE format('ALTER TABLE movements VALIDATE CONSTRAINT %I', first);
    END LOOP;
END $$;

-- movement_id alone can be no key of the whole table, and with create_time it would be a greater one. Each partition
-- has its own; among them the one sequence sees to it, as nobody can insert an id that it did not give.
DO $$
DECLARE
    first text;
    drawn bigint;
BEGIN
    FOR first IN SELECT conname FROM pg_constraint
        WHERE conrelid = 'movements'::regclass AND conname ~ '^movements_[0-9]{6}$'
    LOOP
        LOCK TABLE movements IN ACCESS EXCLUSIVE MODE;
        drawn := coalesce(pg_sequence_last_value(pg_get_serial_sequence('movements', 'movement_id')::regclass), 0);
        ALTER TABLE movements ALTER movement_id DROP IDENTITY;
        ALTER TABLE movements RENAME TO movements_first;
        ALTER INDEX movements_stock RENAME TO movements_first_stock;
        ALTER INDEX movements_reference RENAME TO movements_first_reference;
        ALTER INDEX movements_pkey RENAME TO movements_first_pkey;

        CREATE TABLE movements (LIKE movements_first) PARTITION BY RANGE (create_time);
        EXECUTE format('ALTER TABLE movements ALTER movement_id ADD GENERATED ALWAYS AS IDENTITY (START WITH %s)',
                       drawn + 1);
        CREATE INDEX movements_stock ON movements (sku, location_id, movement_id);
        CREATE INDEX movements_reference ON movements (reference) WHERE reference <> '';
        EXECUTE format('ALTER TABLE movements ATTACH PARTITION movements_first FOR VALUES FROM (MINVALUE) TO (%L)',
                       (to_date(right(first, 6), 'YYYYMM') + interval '1 month') AT TIME ZONE 'UTC');
        EXECUTE format('ALTER TABLE movements_first DROP CONSTRAINT %I', first);
        EXECUTE format('ALTER TABLE movements_first RENAME TO %I', first);
        CREATE TABLE movements_default PARTITION OF movements (PRIMARY KEY (movement_id)) DEFAULT;

        -- The sums of all movements that are gone. Below zero is possible: a month ends by the clock, which two
        -- servers may have read in another order than they wrote.
        CREATE TABLE opening_balances (
            sku text COLLATE "C",
            location_id text COLLATE "C",
            on_hand bigint NOT NULL,
            reserved bigint NOT NULL,
            allocated bigint NOT NULL,
            PRIMARY KEY (sku, location_id)
        );
    END LOOP;
END $$;

-- migrate: rollback
-- One table again, which is written anew: stop the servers. Opening balances become adjustments, older than the rest.
DO $$
DECLARE
    drawn bigint := coalesce(pg_sequence_last_value(pg_get_serial_sequence('movements', 'movement_id')::regclass), 0);
BEGIN
    ALTER TABLE movements RENAME TO movements_by_month;
    ALTER SEQUENCE movements_movement_id_seq RENAME TO movements_by_month_movement_id_seq;
    ALTER INDEX movements_stock RENAME TO movements_by_month_stock;
    ALTER INDEX movements_reference RENAME TO movements_by_month_reference;

    CREATE TABLE movements (LIKE movements_by_month);
    INSERT INTO movements SELECT * FROM movements_by_month;
    INSERT INTO movements
        SELECT oldest.movement_id - row_number() OVER (), sku, location_id, 9, 8, on_hand, reserved, allocated,
               on_hand, reserved, allocated, '', 'opening balance', 'system', oldest.create_time
        FROM opening_balances,
            (SELECT coalesce(min(movement_id), drawn + 1) AS movement_id,
                    coalesce(min(create_time), now()) AS create_time FROM movements_by_month) AS oldest;
    EXECUTE format('ALTER TABLE movements ALTER movement_id ADD GENERATED ALWAYS AS IDENTITY (START WITH %s)',
                   drawn + 1);
    ALTER TABLE movements ADD PRIMARY KEY (movement_id);
    CREATE INDEX movements_stock ON movements (sku, location_id, movement_id);
    CREATE INDEX movements_reference ON movements (reference) WHERE reference <> '';
    DROP TABLE movements_by_month, opening_balances;
END $$;
