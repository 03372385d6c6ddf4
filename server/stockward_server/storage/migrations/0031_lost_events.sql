-- Events that were published and that the record lacks, until an operator has dealt with them.
-- depends: 0030_parcels

-- migrate: apply
CREATE TABLE lost_events (
    event_id uuid PRIMARY KEY,
    type text COLLATE "C" NOT NULL,
    aggregate_id text COLLATE "C" NOT NULL,
    aggregate_version bigint NOT NULL,
    seq bigint NOT NULL,
    event_time timestamptz NOT NULL,
    find_time timestamptz NOT NULL DEFAULT now(),
    settle_time timestamptz,
    settle_note text NOT NULL DEFAULT ''
);
CREATE INDEX lost_events_unsettled ON lost_events (seq) WHERE settle_time IS NULL;

ALTER TABLE log_epochs
    ADD COLUMN settle_time timestamptz, -- an operator has looked what the epoch before lost
    ADD COLUMN settle_note text NOT NULL DEFAULT '';
UPDATE log_epochs SET settle_time = now(); -- the first one lost nothing, and of others no operator was asked

-- Whether the database is on the timeline of the newest epoch: behind a pooler, a connection outlives a failover. True where
-- that cannot be known.
CREATE FUNCTION on_known_timeline() RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
    known text := (SELECT lineage FROM log_epochs ORDER BY number DESC LIMIT 1);
BEGIN
    IF known IS NULL OR split_part(known, '/', 2) = left(pg_walfile_name(pg_current_wal_lsn()), 8) THEN
        RETURN true;
    END IF;
    PERFORM pg_control_system(); -- a new epoch needs it, and some services do not permit it
    RETURN false;
EXCEPTION WHEN insufficient_privilege OR feature_not_supported THEN
    RETURN true;
END $$;

-- Raises where the newest epoch is not the one with this first version: what was decided in an earlier one is decided again.
CREATE FUNCTION require_epoch(first_version bigint) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF first_version = (SELECT first_seq FROM log_epochs ORDER BY number DESC LIMIT 1) AND on_known_timeline() THEN
        RETURN true;
    END IF;
    RAISE EXCEPTION 'the event log has another epoch' USING ERRCODE = 'serialization_failure';
END $$;

-- migrate: rollback
DROP FUNCTION require_epoch;
DROP FUNCTION on_known_timeline;
ALTER TABLE log_epochs DROP COLUMN settle_time, DROP COLUMN settle_note;
DROP TABLE lost_events;
