"""How long a storage may take, and how a manifest looks to a person."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from fsspec.asyn import get_loop
from fsspec.exceptions import FSTimeoutError

from airflow_provider_predictions.api.limits import MIN_SPEED
from airflow_provider_predictions.storage.manifest import Totals, as_json, manifest
from airflow_provider_predictions.storage.objects import _ask


async def _take(seconds: float, word: str = "") -> str:
    await asyncio.sleep(seconds)
    return word


SLOW = SimpleNamespace(async_impl=True, loop=get_loop(), _take=_take)


def test_a_storage_may_take_longer_for_a_larger_object() -> None:
    assert _ask(SLOW, "take", 0.02, size=60 * MIN_SPEED, longest=0, word="whole") == "whole"
    with pytest.raises(FSTimeoutError):
        _ask(SLOW, "take", 60, size=MIN_SPEED // 100, longest=0)


def test_a_storage_without_a_loop_has_bounds_of_its_own() -> None:
    fs = SimpleNamespace(async_impl=False, take=lambda what, word: (what, word))

    assert _ask(fs, "take", 1, size=1, longest=0, word="x") == (1, "x")


def test_a_manifest_is_stored_for_people_to_read(file_store: ObjectStoragePath) -> None:
    text = as_json(manifest(file_store, [], Totals())).decode()

    assert text.startswith(f'{{\n  "version": 1,\n  "path": "{file_store}",\n  "parts": [],\n')
