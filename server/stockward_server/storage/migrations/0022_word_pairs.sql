-- Which words follow each other in a product: the search vector need not be read to see that a phrase is not in it.
-- depends: 0021_product_search_order

-- migrate: apply
-- `pairs` is a Bloom filter; null where it is to be made, which servers do within a minute. `filler` makes each row so long
-- that PostgreSQL stores its vector out of line, however short that is, and is compressed to 30 bytes: a page then has 40
-- rows, where it had as few as 4.
ALTER TABLE product_search ADD COLUMN pairs bytea, ADD COLUMN filler text NOT NULL DEFAULT repeat(' ', 2000);
ALTER TABLE product_search ALTER pairs SET STORAGE MAIN, ALTER filler SET STORAGE MAIN;
CREATE INDEX product_search_without_pairs ON product_search (product_id) WHERE pairs IS NULL;

-- A server of the release before stores another vector and leaves the pairs as they are. One of this release never does: the
-- last byte is of the product's version. Until the next release.
CREATE FUNCTION forget_pairs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.pairs := NULL;
    RETURN NEW;
END
$$;
CREATE TRIGGER product_search_pairs BEFORE UPDATE ON product_search
    FOR EACH ROW WHEN (NEW.pairs = OLD.pairs) EXECUTE FUNCTION forget_pairs();

-- migrate: rollback
DROP TRIGGER product_search_pairs ON product_search;
DROP FUNCTION forget_pairs;
ALTER TABLE product_search DROP COLUMN pairs, DROP COLUMN filler;
