-- Lists of what is searched for begin somewhere: the part of a list that a page comes from is kept apart in the index.
-- depends: 0020_set_aside

-- migrate: apply
CREATE INDEX product_search_create_time ON product_search (create_time);
CREATE INDEX product_search_title_key ON product_search (title_key);

-- migrate: rollback
DROP INDEX product_search_create_time;
DROP INDEX product_search_title_key;
