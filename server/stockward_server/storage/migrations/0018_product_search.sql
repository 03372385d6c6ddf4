-- What products are found by, in a table of its own: an edit that leaves it as it is does not touch the index.
-- depends: 0017_log_epochs

-- migrate: apply
-- A search reads many of these rows and few search vectors: the rows are kept short, the vectors out of line, and they
-- are not compressed. `indexed_version` is the version of the product that its row was made of; servers make it within
-- a minute where one of an earlier release wrote the product. For those `products.search` and `searched_version` stay
-- until the next release; nothing reads `search` of a product that is indexed.
CREATE TABLE product_search (
    product_id uuid PRIMARY KEY REFERENCES products ON DELETE CASCADE,
    create_time timestamptz NOT NULL,
    title_key text COLLATE "C" NOT NULL,
    search tsvector NOT NULL
) WITH (toast_tuple_target = 128);
ALTER TABLE product_search ALTER title_key SET STORAGE MAIN, ALTER search SET STORAGE EXTERNAL;
CREATE INDEX product_search_search ON product_search USING gin (search);
ALTER TABLE products ADD COLUMN indexed_version bigint NOT NULL DEFAULT 0, ALTER search SET DEFAULT '';
CREATE INDEX products_unindexed ON products (product_id) WHERE indexed_version <> version;
DROP INDEX products_unsearched;

-- migrate: rollback
CREATE INDEX products_unsearched ON products (product_id) WHERE searched_version <> version;
DROP INDEX products_unindexed;
ALTER TABLE products DROP COLUMN indexed_version, ALTER search DROP DEFAULT;
DROP TABLE product_search;
