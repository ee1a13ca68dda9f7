-- The points of a chart: those of the largest names and, of sums, of all others together.

WITH top AS (
    SELECT "$by" AS name, row_number() OVER (ORDER BY sum($amount) DESC, "$by") AS place
    FROM $table GROUP BY "$by" ORDER BY place LIMIT $most
), named AS (
    SELECT bucket, CASE WHEN place IS NULL THEN $others ELSE name END AS name, $amount::DOUBLE AS amount,
        coalesce(place, $most + 1) AS place
    FROM $table JOIN bucket ON time = label LEFT JOIN top ON name = "$by"
)
SELECT name, bucket, CASE WHEN isfinite(sum(amount)) THEN greatest(sum(amount), 0) END
FROM named WHERE name IS NOT NULL GROUP BY name, bucket ORDER BY min(place), bucket;
