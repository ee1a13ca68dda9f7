"""Extracted values as Parquet: one row for each value, with its path in the record."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from airflow_provider_predictions.api import json_slices
from airflow_provider_predictions.api.coercion import short
from airflow_provider_predictions.api.limits import GROUP_BYTES, MAX_NAMED, MAX_VALUE_DEPTH, MAX_VALUE_ROWS
from airflow_provider_predictions.api.models import Prediction
from airflow_provider_predictions.api.spelled_json import spelled
from airflow_provider_predictions.api.values import Choice, Values
from airflow_provider_predictions.api.wording import counted, joined
from airflow_provider_predictions.storage.formats.base import VALUES
from airflow_provider_predictions.storage.formats.parquet import ParquetFormat, as_utf8

log = logging.getLogger(__name__)

_NUMBER = r"^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,14})?$"
_LONGEST_NUMBER = 16
"""Characters. A double holds the 15 digits of such a number exactly enough to show them again."""


class _Group:
    """The records that become one row group."""

    def __init__(self, choice: Choice) -> None:
        self.records: list[Prediction] = []
        self.documents: list[str | None] = []
        self.values = Values(choice)
        self.size = 0

    @property
    def is_full(self) -> bool:
        return len(self.values) >= MAX_VALUE_ROWS or self.size >= GROUP_BYTES

    @property
    def deep(self) -> list[str]:
        """The ids of records with values whose nesting was cut."""
        return [self.records[number].id for number in dict.fromkeys(self.values.deep)]


@dataclass(frozen=True)
class ParquetValues(ParquetFormat):
    """One row for each value."""

    shape = VALUES
    created = "created_at"
    _choice: Choice = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_choice", Choice(self.paths))

    @property
    def schema(self) -> pa.Schema:
        return pa.schema(
            [
                ("prediction_id", pa.string()),
                (self.created, pa.timestamp("us", tz="UTC")),
                (self.service.group_name, pa.string()),
                ("document_id", pa.string()),
                ("path", pa.string()),
                ("label", pa.string()),
                ("value", pa.string()),
                ("number", pa.float64()),
                ("confidence", pa.float64()),
                ("confidence_level", pa.string()),
                ("page", pa.int32()),
            ]
        )

    def rows(self, part: Path) -> int:
        found: int = pq.read_metadata(part).num_rows
        return found

    def unmatched(self) -> list[str]:
        """The ``paths`` that no value of the parts that this object has made has matched."""
        return [each for each in self.paths or () if each not in self._choice.matched]

    def groups(self, lines: BinaryIO) -> Iterator[pa.Table]:
        deep: list[str] = []
        group = _Group(self._choice)
        for line in lines:
            self._read(line.rstrip(b"\n"), group)
            if group.is_full:
                yield self._table(group)
                deep += group.deep
                group = _Group(self._choice)
        if len(group.values):
            yield self._table(group)
        if deep := deep + group.deep:
            names = joined([short(id_) for id_ in deep[:MAX_NAMED]])
            log.warning("%s with values more than %d levels deep, which land as JSON text: %s",
                        counted(len(deep), "prediction"), MAX_VALUE_DEPTH, names)  # fmt: skip

    def _read(self, raw: bytes, group: _Group) -> None:
        """Add a record and its values."""
        found: Any = json_slices.fields(raw, cast("type[msgspec.Struct]", self.service.extracted))
        text, values = bytes(found.values), group.values
        values.record = len(group.records)
        group.records.append(self.service.row(raw))
        group.documents.append(found.document)
        group.size += len(raw)
        try:
            extracted = spelled(text)
        except RecursionError:
            values.add_deep("", "", text.decode("utf-8", "backslashreplace"))
        else:
            self.service.add_values(values, extracted)

    def _table(self, group: _Group) -> pa.Table:
        records, values = group.records, group.values
        at = pa.array(values.records, pa.int32())
        texts = _strings(values.texts)
        columns = [
            _strings([record.id for record in records]).take(at),
            pa.array([record.created_at for record in records], pa.timestamp("us", tz="UTC")).take(at),
            _strings([record.group for record in records]).take(at),
            _strings(group.documents).take(at),
            _strings(values.paths),
            _strings(values.labels),
            texts,
            pc.coalesce(pa.array(values.numbers, pa.float64()), _numbers(texts)),
            pa.array(values.confidences, pa.float64()),
            _strings(values.levels),
            pa.array(values.pages, pa.int32()),
        ]
        return pa.Table.from_arrays(columns, schema=self.schema)


def _strings(found: list[Any]) -> pa.Array:
    try:
        return pa.array(found, pa.string())
    except UnicodeEncodeError:  # a lone surrogate, or bytes that are no UTF-8
        return pa.array(map(as_utf8, found), pa.string())


def _numbers(texts: pa.Array) -> pa.Array:
    """Text as numbers, where it is the short JSON of one: not ``007``, ``1e5`` or ``1.234,5``."""
    is_number = pc.and_(
        pc.less_equal(pc.binary_length(texts), _LONGEST_NUMBER), pc.match_substring_regex(texts, _NUMBER)
    )
    return pc.if_else(is_number, texts, pa.scalar(None, pa.string())).cast(pa.float64())
