"""Describe filters that match no record, so that a typo differs from an empty time window."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from airflow_provider_predictions.api.filters import Filters
from airflow_provider_predictions.api.limits import MAX_OBSERVED_LENGTH
from airflow_provider_predictions.api.page import Observed
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.wording import counted, joined, quoted


def expected_words(service: Service[Any], filters: Filters) -> frozenset[str]:
    """The words of the filters, which ``Observed.add`` always counts."""
    found = (getattr(filters, name) for name in service.word_filters())
    return frozenset(word[:MAX_OBSERVED_LENGTH] for words in found for word in words or ())


def unmatched_filters(
    service: Service[Any] | type[Service[Any]],
    filters: Filters,
    observed: Observed,
    other_statuses: Mapping[str, Iterable[str] | None] | None = None,
) -> str:
    """Describe words that the service does not know and no record has; empty if there are none.

    :param observed: counts of all records of the task.
    :param other_statuses: argument -> statuses, beside the filters.
    """
    known = service.terminal_statuses | service.unfinished_statuses
    statuses = {"statuses": filters.statuses, **(other_statuses or {})}
    found = [
        unmatched_words(name, words, observed.statuses, observed.looked_at, known=known)
        for name, words in statuses.items()
    ]
    if (name := service.group_filter) and observed.looked_at:
        found.append(unmatched_words(name, getattr(filters, name), observed.groups, observed.looked_at))
    for name in service.server_filters:
        if (value := getattr(filters, name)) and not observed.looked_at:
            found.append(f"{name}: {quoted([value])} matched nothing ({service.title} applies this filter)")
        elif value and name == service.group_name:
            found.append(_other_groups(service.title, name, value, observed.groups))
    return ". ".join(filter(None, found))


def _other_groups(title: str, name: str, value: str, groups: Mapping[str, int]) -> str:
    """Describe records that the service should have left out. An id may have its organization in front."""
    short = {group: group.rpartition("/")[2] for group in groups if len(group) < MAX_OBSERVED_LENGTH}
    others = [group for group, id_ in short.items() if id_ != value.rpartition("/")[2]]
    if not others:
        return ""
    count = counted(sum(groups[group] for group in others), "record")
    return f"{name}: {title} sent {count} with another one: {joined(others)}. It may have ignored this filter"


def no_match(observed: Observed) -> str:
    """The message if no record matches."""
    if not observed.looked_at:
        return "0 records match: no record was found"
    return f"0 of {observed.looked_at} records match; statuses found: {joined(observed.statuses)}"


def unmatched_words(
    name: str,
    asked: Iterable[str] | None,
    observed: Collection[str],
    looked_at: int,
    *,
    known: Collection[str] = (),
) -> str:
    """Describe words of one argument that are neither known nor in any record; empty if there are none."""
    odd = [word for word in asked or () if word not in known and word[:MAX_OBSERVED_LENGTH] not in observed]
    if not odd:
        return ""
    verb, where = "was" if len(odd) == 1 else "were", f"in {counted(looked_at, 'record')}"
    text = f"{name}: {quoted(odd)} {verb} not found {where}"
    if observed:
        text += f"; found: {joined(observed)}"
    return f"{text}; known: {joined(known)}" if known else text
