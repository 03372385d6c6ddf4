-- The epochs of the record of events: a cursor names the one in which it was given.
-- depends: 0016_unpaid_orders

-- migrate: apply
-- A new epoch begins where the record may have lost events that were delivered: after a restore, or on a standby that took over.
CREATE TABLE log_epochs (
    number integer PRIMARY KEY,
    epoch text COLLATE "C" NOT NULL UNIQUE DEFAULT left(gen_random_uuid()::text, 8),
    -- What distinguishes this database from any other one; null until a server has looked.
    lineage text,
    -- Up to here the record is the same as in the epochs before.
    kept_seq bigint NOT NULL,
    -- Every event of this epoch has a higher seq, and none of the epochs before ever had one.
    first_seq bigint NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now()
);
INSERT INTO log_epochs (number, kept_seq, first_seq) VALUES (1, 0, 0);

-- migrate: rollback
DROP TABLE log_epochs;
