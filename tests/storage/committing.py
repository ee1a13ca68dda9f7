"""Attempts that commit, without a service and without records."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import ObjectStoragePath
from msgspec.structs import replace

from airflow_provider_predictions.storage.attempt import Attempt, TaskRun
from airflow_provider_predictions.storage.commit import LandingPath
from airflow_provider_predictions.storage.manifest import Manifest, Part, Totals, manifest

FACTS: dict[str, Any] = {
    "service": "vlmrun", "format": "jsonl", "compression": None, "requests": 1, "filters": {},
    "ordered": True, "consistent": True, "inconsistency": None,
}  # fmt: skip
NOTHING: Any = manifest(ObjectStoragePath("file:///predictions"), [], Totals(), generation=1, **FACTS)
"""What a run returns that has found nothing."""


def write(attempt: Attempt, parts: int = 1, content: bytes = b"{}\n") -> Manifest:
    """Put the parts of an attempt; what it has to commit."""
    names = [attempt.path(f"part-{number:05}", ".jsonl") for number in range(parts)]
    for name in names:
        name.parent.mkdir(parents=True, exist_ok=True)
        name.write_bytes(content)
    made = [Part(name.name, 1, len(content), "ab") for name in names]
    facts: dict[str, Any] = FACTS | {"generation": attempt.generation}
    return manifest(attempt.directory, made, Totals(count=parts), **facts)


def add(path: ObjectStoragePath, run: str, number: int = 1, *, parts: int = 1, **known: Any) -> Manifest:
    """What an attempt of a run returns that lands incrementally."""
    target = LandingPath(path, TaskRun(run, number=number), "vlmrun")
    if earlier := target.find_committed():
        return earlier
    target.begin()
    content = write(target.attempt, parts)
    return (
        target.commit(content, replace(target.state, **known))
        if parts
        else target.end_without_commit(content)
    )


def replace_all(path: ObjectStoragePath, run: str, number: int = 1) -> Manifest:
    """What an attempt of a run returns that lands in the place of what lies there."""
    target = LandingPath(path, TaskRun(run, number=number))
    target.begin()
    return target.commit(write(target.attempt))


def is_whole(content: Manifest) -> bool:
    """Whether all parts are there that a manifest names."""
    return all(ObjectStoragePath(part["uri"]).exists() for part in content["parts"])
