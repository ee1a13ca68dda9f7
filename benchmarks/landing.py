"""Landing a list: beside others at no latency and at 100 ms a page, and its memory by what is landed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from statistics import median

from environments import measured
from job import Job
from results import Bar, Part, Row, at_least, at_most, ratios, run_all, spread
from server import serving
from tables import markdown

LIMIT, DEFAULT, BEST_SLOW, CRADL = "limit", "ours, prefetch=1", "ours, prefetch=8", "ours"
SDK, CRADL_SDK, HTTP, DLT = "vlmrun SDK", "cradl SDK", "HttpOperator", "dlt"
OF_THIS_PYTHON = ("limit", "ours")
READS = {
    LIMIT: Job("limit", "", 300_000),
    DEFAULT: Job("ours", "", 300_000, prefetch=1),
    "ours, prefetch=2": Job("ours", "", 300_000, prefetch=2),
    BEST_SLOW: Job("ours", "", 300_000, prefetch=8),
    SDK: Job("vlmrun_sdk", "", 60_000),
    HTTP: Job("http_operator", "", 60_000),
    "Singer SDK": Job("singer_stdout", "", 20_000),
    DLT: Job("dlt_filesystem", "", 100_000),
}
"""The fixed cost of each is less than a hundredth of reading so many."""
CRADL_READS = {
    LIMIT: Job("limit", "", 300_000, "cradl"),
    CRADL: Job("ours", "", 300_000, "cradl"),
    CRADL_SDK: Job("cradl_sdk", "", 50_000, "cradl"),
}
BARS = {LIMIT: 0.5, SDK: 8, HTTP: 4.5, DLT: 30}
CRADL_BARS = {LIMIT: 0.48}
LATENCY = 100
SLOW_READS = {
    LIMIT: 30_000, DEFAULT: 30_000, "ours, prefetch=2": 60_000, BEST_SLOW: 160_000, SDK: 20_000, HTTP: 20_000,
}  # fmt: skip
CRADL_SLOW_READS = {LIMIT: 30_000, CRADL: 30_000, CRADL_SDK: 20_000}
SLOW_BARS = {LIMIT: 6.5, SDK: 4, HTTP: 4}
FEW, SOME, MANY = 10_000, 100_000, 1_000_000
MOST_MORE_MB, MOST_SLOWER, MOST_PAGES, MOST_IMPORT_MS = 64, 1.1, 3, 150
LARGE_RECORD, LARGE_COUNT = 100_000, 4_000
QUICK = 3_000
"""Records of each list when it is only tried out."""
COLUMNS = ("", "records", "records/s", "fixed cost", "CPU, ms a page", "of the limit")


def no_latency(quick: bool, rounds: int) -> Part:
    """Both services, everybody, as fast as the server answers."""
    with serving(kept=QUICK if quick else max(job.count for job in READS.values())) as url:
        vlmrun, cradl = rows_of(READS, url, quick), rows_of(CRADL_READS, url, quick)
        for rows in (vlmrun, cradl):
            for label in (LIMIT, DEFAULT if DEFAULT in rows else CRADL):
                # The server makes its pages while they are asked for the first time.
                measured(*rows[label].order)
        run_all([*vlmrun.values(), *cradl.values()], rounds)
    return compared(vlmrun, DEFAULT, BARS, cradl, CRADL_BARS)


def latency(quick: bool, rounds: int) -> Part:
    """Both services, each page 100 ms late."""

    def slow(jobs: Mapping[str, Job], counts: Mapping[str, int]) -> dict[str, Job]:
        return {label: replace(jobs[label], count=n, latency=LATENCY) for label, n in counts.items()}

    with serving() as url:
        vlmrun = rows_of(slow(READS, SLOW_READS), url, quick)
        cradl = rows_of(slow(CRADL_READS, CRADL_SLOW_READS), url, quick)
        run_all([*vlmrun.values(), *cradl.values()], rounds)
    return compared(vlmrun, BEST_SLOW, SLOW_BARS, cradl, {})


def memory(quick: bool, rounds: int) -> Part:
    """Peak memory by the length of the list, and with pages of 100 MB."""
    lengths = {f"{n:,}": Job("ours", "", n) for n in (FEW, SOME, MANY)}
    size = LARGE_RECORD // 10 if quick else LARGE_RECORD
    large = {
        service: Job("ours", "", LARGE_COUNT, service, record_bytes=size) for service in ("vlmrun", "cradl")
    }
    page_mb = size * Job.page_size / 1e6
    with serving() as url:
        rows, pages = rows_of(lengths, url, quick), rows_of(large, url)
        run_all([*rows.values(), *pages.values()], rounds)
    few, some, many = rows.values()
    columns = ("records", "peak RSS, MB", "µs a record")
    table = markdown(
        columns,
        [(r.label, spread(r.found("peak_mb"), ".1f"), spread(micros(r), ".1f")) for r in rows.values()],
        figures=True,
    )
    above = {label: [over / page_mb for over in above_rest(row)] for label, row in pages.items()}
    large_columns = (f"{LARGE_COUNT // Job.page_size} pages of {page_mb:.0f} MB", "MB above rest", "pages")
    large_table = markdown(
        large_columns,
        [(label, spread(above_rest(row), ".0f"), spread(above[label])) for label, row in pages.items()],
        figures=True,
    )
    longest = f"{MANY:,} records"
    more = [long - short for long, short in zip(many.found("peak_mb"), few.found("peak_mb"), strict=True)]
    slower = ratios("rate", some, many)
    bars = [
        at_most(longest, MOST_MORE_MB, f"MB more than {FEW:,}", more, ".1f"),
        at_most(longest, MOST_SLOWER, f"x the time a record of {SOME:,}", slower),
        *(at_most(f"{label}, large pages", MOST_PAGES, "above rest", above[label]) for label in above),
        *lost([*rows.values(), *pages.values()]),
    ]
    return Part(f"{table}\n{large_table}", bars)


def rows_of(jobs: Mapping[str, Job], url: str, quick: bool = False) -> dict[str, Row]:
    ready = {
        label: replace(job, server=url, count=min(job.count, QUICK) if quick else job.count)
        for label, job in jobs.items()
    }
    return {
        label: Row(label, ("land", asdict(job)), job.reader not in OF_THIS_PYTHON)
        for label, job in ready.items()
    }


def compared(
    vlmrun: Mapping[str, Row],
    ours: str,
    bars: Mapping[str, float],
    cradl: Mapping[str, Row],
    cradl_bars: Mapping[str, float],
) -> Part:
    """Two tables, and what ours has to be of others.

    :param ours: the row of VLM Run that is compared with the others.
    :param bars: how many times as fast it has to be, by label.
    """
    tables, found = [], []
    for title, rows, best, wanted in (("VLM Run", vlmrun, ours, bars), ("Cradl", cradl, CRADL, cradl_bars)):
        tables.append(f"**{title}**\n\n{speeds(rows, best)}")
        for label, least in wanted.items():
            times = ratios("rate", rows[best], rows[label])
            found.append(at_least(f"{title}, `{best}`", least, f"x {label}", times))
        found += lost(rows.values())
    return Part("\n".join(tables), found)


def speeds(rows: Mapping[str, Row], ours: str) -> str:
    lines = []
    for label, row in rows.items():
        times = "" if label == ours else f"{spread(ratios('rate', rows[ours], row))} x"
        lines.append(
            (
                label,
                f"{row.runs[0]['rows']:,}",
                spread(row.found("rate"), ",.0f"),
                f"{median(row.found('fixed')):.1%}",
                spread(row.found("cpu_ms")),
                spread(ratios("rate", row, rows[LIMIT])),
                times,
                f"{median(row.found('peak_mb')):.0f} ({median(row.found('before_mb')):.0f})",
            )
        )
    return markdown((*COLUMNS, f"`{ours}` is", "peak RSS, MB (before)"), lines, figures=True)


def micros(row: Row) -> list[float]:
    return [1e6 / rate for rate in row.found("rate")]


def above_rest(row: Row) -> list[float]:
    """MB that the process held more than before."""
    return [run["peak_mb"] - run["before_mb"] for run in row.runs]


def lost(rows: Iterable[Row]) -> Iterator[Bar]:
    """The rows that do not hold each record once."""
    for row in rows:
        count = row.order[1]["count"]  # type: ignore[index]
        for run in row.runs:
            if (run["rows"], run["distinct"]) != (count, count):
                found = f"{run['distinct']:,} of {count:,} in {run['rows']:,}"
                yield Bar(f"{row.label}: each record once", found, False)


def imports(quick: bool, rounds: int) -> Part:
    """What our operators add to the parsing of a DAG."""
    row = Row("import", ("import_operators",))
    run_all([row], 1 + (rounds if quick else 5))
    milliseconds = row.found("ms")[1:]
    return Part("", [at_most("import of the operators", MOST_IMPORT_MS, "ms", milliseconds, ".0f")])
