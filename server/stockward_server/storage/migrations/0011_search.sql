-- Products found by any part of what they are called, and titles in the order that people expect.
-- depends: 0010_untracked

-- migrate: apply
-- What these and `search` have is made by servers, see domain/search.py: for a product that is written by a server of an
-- earlier release, or before this migration, they follow within a minute. `searched_version` is the version that they
-- were made of.
ALTER TABLE products
    ADD COLUMN search_parts text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN title_key text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN searched_version bigint NOT NULL DEFAULT 0;
CREATE INDEX products_title_key ON products (title_key, product_id);
CREATE INDEX products_unsearched ON products (product_id) WHERE searched_version <> version;
DROP INDEX products_title;

-- migrate: rollback
DROP INDEX products_title_key, products_unsearched;
ALTER TABLE products DROP COLUMN search_parts, DROP COLUMN title_key, DROP COLUMN searched_version;
CREATE INDEX products_title ON products (title COLLATE "C", product_id);
