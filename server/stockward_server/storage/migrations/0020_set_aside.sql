-- Messages of the stream that are no events of ours, which the feed of webhooks has passed over.
-- depends: 0019_authors

-- migrate: apply
CREATE TABLE set_aside_messages (
    stream text COLLATE "C" NOT NULL,
    stream_seq bigint NOT NULL,
    subject text NOT NULL,
    reason text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stream, stream_seq, create_time)
);

-- migrate: rollback
DROP TABLE set_aside_messages;
