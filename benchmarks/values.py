"""What values as rows cost beside records: both convert the same predictions to Parquet, as landings do."""

from __future__ import annotations

from results import Part, Row, at_least, at_most, ratios, run_all
from tables import markdown

PARTS, QUICK_PARTS = (20_000, 20_000, 20_000), (2_000, 2_000)
CHOSEN = {"vlmrun": ["total", "items.*"], "cradl": ["total_amount", "due_date"]}
COLUMNS = ("", "predictions", "rows", "predictions per second", "of records", "peak RSS, MB")


def values(quick: bool, rounds: int) -> Part:
    """One round: processor time of one thread wobbles little, and the bars are far."""
    parts = QUICK_PARTS if quick else PARTS
    count, lines, bars = sum(parts), [], []
    for service, chosen in CHOSEN.items():
        rows = [
            Row(f"{service}: {label}", ("convert", service, some, shape, paths))
            for label, some, shape, paths in (
                ("records", parts, "records", None),
                ("values", parts, "values", None),
                ("values with `paths`", parts, "values", chosen),
                ("values of one part", parts[:1], "values", None),
            )
        ]
        run_all(rows, 1)
        records, whole, some, one_part = rows
        for row in (records, whole, some):
            (run,), (share,) = row.runs, ratios("seconds", records, row)
            cells = (f"{run['rows']:,}", f"{count / run['seconds']:,.0f}", f"{share:.2f}")
            lines.append((row.label, f"{count:,}", *cells, f"{run['peak_mb']:.0f}"))
            bars.append(at_least(row.label, 0.2, "x the speed of records", [share]))
        growth = ratios("peak_mb", whole, one_part)
        bars.append(at_most(whole.label, 1.3, f"x the memory of one part of {len(parts)}", growth))
    return Part(markdown(COLUMNS, lines, figures=True), bars)
