-- How many products have a word, for more words.
-- depends: 0022_word_pairs

-- migrate: apply
-- Parts of barcodes and SKUs took all of the 1,000 lexemes that were counted: the words of titles were as unknown as words
-- that no product has.
ALTER TABLE product_search ALTER search SET STATISTICS 300;

-- migrate: rollback
ALTER TABLE product_search ALTER search SET STATISTICS -1;
