-- The key of page tokens and cursors.
-- depends: 0014_reused_names

-- migrate: apply
-- One row. gen_random_uuid has 122 random bits, from the source that PostgreSQL's own authentication uses.
CREATE TABLE seal_key (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    key bytea NOT NULL CHECK (length(key) = 32)
);
INSERT INTO seal_key (key) VALUES (uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));

-- migrate: rollback
DROP TABLE seal_key;
