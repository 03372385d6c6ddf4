-- A name that is given to other goods.
-- depends: 0013_running_totals

-- migrate: apply
-- Since which event its SKU has been a variant's: events of the stock before are of other goods, perhaps of a draft.
ALTER TABLE variants ADD COLUMN events_since bigint NOT NULL DEFAULT 0;
ALTER TABLE variants ALTER COLUMN events_since SET DEFAULT nextval('event_seq');

-- migrate: rollback
ALTER TABLE variants DROP COLUMN events_since;
