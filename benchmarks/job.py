"""One landing: who reads what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Job:
    """One landing, as the runner orders it from a process.

    :param reader: the module of ``contenders``.
    :param server: the URL of the server.
    :param count: how many predictions the list holds.
    :param latency: milliseconds a page.
    :param record_bytes: to which each record is filled up; 0 for about 1 KB.
    :param prefetch: of our operators; None for their default.
    :param nesting: of dlt: how many levels of a record become tables of their own; None for all.
    """

    reader: str
    server: str
    count: int
    service: Literal["vlmrun", "cradl"] = "vlmrun"
    latency: int = 0
    record_bytes: int = 0
    prefetch: int | None = None
    nesting: int | None = None
    page_size: int = 1000

    @property
    def url(self) -> str:
        """The base URL of the list."""
        return f"{self.server}/{self.count}/{self.latency}/{self.record_bytes}/{self.service}/v1"
