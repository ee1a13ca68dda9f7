"""What may be of the period and is not counted, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from airflow_provider_predictions.api.models import as_time
from airflow_provider_predictions.api.wording import counted
from airflow_provider_predictions.report.coverage import Sources

_EVER = datetime.min.replace(tzinfo=UTC)


def uncounted(sources: Sources, undated: int) -> Iterator[str]:
    """Sentences on predictions that may be of the period.

    :param undated: records without a creation time that landed after the period began.
    """
    waiting, given_up = _unfinished(sources)
    if waiting:
        yield f"{_were(waiting)} unfinished."
    if given_up:
        yield f"At least {_were(given_up)} given up after max_age."
    late = (landed for landed in sources.telling if landed.is_after(sources.window.start))
    undated += sum(landed.manifest["rejected"] for landed in late)
    if undated:
        yield f"{counted(undated, 'record')} landed without a creation time that can be read."


def note_on_values(without: Mapping[int, int]) -> Iterator[str]:
    """What the landings cannot tell of values.

    :param without: the predictions whose values were not read, by age.
    """
    periods = enumerate(("this period", "the period before"))
    if found := [
        f"{counted(without[age], 'prediction')} of {words}" for age, words in periods if age in without
    ]:
        yield (
            f"The values of {' and '.join(found)} have not landed. Their fields, confidences, and errors and "
            "warnings of fields are not counted."
        )


def _unfinished(sources: Sources) -> tuple[int, int]:
    """How many were unfinished when each path was last looked at, and how many were surely given up."""
    window, reached = sources.window, dict[str, datetime]()
    waiting, given_up = dict[str, int](), dict[str, int]()
    for landed in sources.landings:
        if landed.is_after(window.start) and (path := landed.incremental_path):
            facts, since = landed.manifest["incremental"], reached.get(path, _EVER)
            # All that was created before the watermark is finished or given up.
            reached[path] = as_time(facts.get("watermark")) or _EVER
            waiting[path] = facts.get("unfinished", 0) if reached[path] < window.end else 0
            # Runs may give up the same ones.
            if since < window.end:
                given_up[path] = max(given_up.get(path, 0), facts.get("given_up", 0))
    return sum(waiting.values()), sum(given_up.values())


def _were(count: int) -> str:
    return f"{counted(count, 'prediction')} {'was' if count == 1 else 'were'}"
