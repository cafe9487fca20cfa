-- The quota of cards is of living ones (issued, active, suspended), where it was of all that were ever issued. A card's
-- partition stands in the lower six bits of its ninth byte.
UPDATE partition SET cards = 0;
UPDATE partition SET cards = living.cards
FROM (SELECT ((instr('0123456789ABCDEF', substr(hex(id), 17, 1)) - 1) << 4
              | (instr('0123456789ABCDEF', substr(hex(id), 18, 1)) - 1)) & 63 AS place, count(*) AS cards
      FROM card WHERE status IN (1, 2, 3) GROUP BY place) AS living
WHERE living.place = partition.id;
