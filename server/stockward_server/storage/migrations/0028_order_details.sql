-- What staff write on orders, and edits of their lines.
-- depends: 0027_holds

-- migrate: apply
ALTER TABLE orders
    ADD COLUMN tags text[], -- NULL where there is none
    ADD COLUMN attributes jsonb,
    ADD COLUMN edits jsonb; -- [[time, minor units], ...]: what edits of the lines added to the amount
-- Gift notes are personal data, so they are erased with the contact.
ALTER TABLE order_contacts
    ADD COLUMN gift_note text NOT NULL DEFAULT '',
    ADD COLUMN line_gift_notes jsonb; -- text by line number

-- migrate: rollback
ALTER TABLE order_contacts DROP COLUMN gift_note, DROP COLUMN line_gift_notes;
ALTER TABLE orders DROP COLUMN tags, DROP COLUMN attributes, DROP COLUMN edits;
