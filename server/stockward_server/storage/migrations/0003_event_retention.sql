-- How far the record of events reaches back.
-- depends: 0001_core

-- migrate: apply
-- One row: the highest seq in a partition that was dropped, and the first moment after that partition.
CREATE TABLE event_retention (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    dropped_seq bigint NOT NULL,
    oldest_time timestamptz NOT NULL
);
INSERT INTO event_retention (dropped_seq, oldest_time) VALUES (0, '-infinity');

-- migrate: rollback
DROP TABLE event_retention;
