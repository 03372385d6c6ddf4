-- SKUs that can be renamed.
-- depends: 0011_search

-- migrate: apply
-- What grows for ever (the ledger, lines of orders and reservations) keeps the name that it was written under, and this
-- says which goods that was. The ids of the ledger number the time: a name meant the goods that are called `sku` now for
-- what was written from `since` on and before `until`.
CREATE TABLE former_skus (
    name text COLLATE "C",
    since bigint,
    until bigint NOT NULL,
    sku text COLLATE "C" NOT NULL,          -- the SKU of those goods now
    PRIMARY KEY (name, since)
);
CREATE INDEX former_skus_sku ON former_skus (sku);

-- How many renames there were, in one row: a rename holds it to its end, so there is one at a time.
CREATE TABLE sku_renames (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    count bigint NOT NULL
);
INSERT INTO sku_renames (count) VALUES (0);

-- Since when a variant has its SKU, and which time the SKU of a line is of. A SKU that is made again must not be taken for
-- the one that was renamed.
ALTER TABLE variants ADD COLUMN sku_since bigint NOT NULL DEFAULT 0;
ALTER TABLE variants ALTER COLUMN sku_since SET DEFAULT nextval('movements_movement_id_seq');
ALTER TABLE order_lines ADD COLUMN sku_since bigint NOT NULL DEFAULT 0;
ALTER TABLE reservation_lines ADD COLUMN sku_since bigint NOT NULL DEFAULT 0;

-- A stock row goes by the SKU of its variant.
ALTER TABLE stock DROP CONSTRAINT stock_sku_fkey,
    ADD CONSTRAINT stock_sku_fkey FOREIGN KEY (sku) REFERENCES variants ON UPDATE CASCADE;

CREATE INDEX stock_alerts_sku ON stock_alerts (sku, alert_id);

-- migrate: rollback
-- History of SKUs that were renamed stays under the names that it was written under.
DROP INDEX stock_alerts_sku;
ALTER TABLE stock DROP CONSTRAINT stock_sku_fkey, ADD CONSTRAINT stock_sku_fkey FOREIGN KEY (sku) REFERENCES variants;
ALTER TABLE reservation_lines DROP COLUMN sku_since;
ALTER TABLE order_lines DROP COLUMN sku_since;
ALTER TABLE variants DROP COLUMN sku_since;
DROP TABLE sku_renames, former_skus;
