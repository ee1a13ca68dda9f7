"""Make predictions that look real, from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

# Amounts are Decimals, so that 1.10 is sent as 1.10.
_encode = msgspec.json.Encoder(decimal_format="number").encode

SUPPLIERS = (
    "Brødrene Dahl AS",
    "Müller & Söhne GmbH",
    "Acme Corporation",
    "Café «Le Zinc»",
    "株式会社 山田商店",
)
GOODS = ("Copy paper A4", "Espresso", "Taxi", "Hosting, one month", 'Bolt 5/8"', "Consulting\nper hour")
CURRENCIES = ("NOK", "EUR", "USD", "GBP")
DOMAINS = ("document.invoice", "document.receipt", "document.bank-statement")
MODELS = ("cradl:model:invoices-2f6b", "cradl:model:receipts-9a01")
FAILURE = "The document has no readable page"
WARNING = "The text is hard to read"
FAILS = 0.05
"""The share of predictions that fail."""


@dataclass
class Record:
    """One prediction.

    :param seed: of its content.
    :param work: seconds from its creation to its final status, ``outcome``.
    """

    id: str
    seed: int
    created: datetime
    work: float
    outcome: str
    group: str

    @property
    def ended(self) -> datetime:
        return self.created + timedelta(seconds=self.work)


@dataclass(frozen=True)
class Kind:
    """How a service creates and renders its records."""

    make: Callable[[random.Random, datetime, float], Record]
    status: Callable[[Record, datetime], str]
    show: Callable[[Record, str, str], bytes]


def _amount(rng: random.Random) -> Decimal:
    return Decimal(rng.randrange(110, 250_000)) / 100


def _lines(rng: random.Random) -> list[dict[str, Any]]:
    return [
        {"description": rng.choice(GOODS), "quantity": rng.randint(1, 9), "amount": _amount(rng)}
        for _ in range(rng.randint(1, 5))
    ]


# --- VLM Run -----------------------------------------------------------------------------------------


def _make_vlmrun(rng: random.Random, created: datetime, work: float) -> Record:
    outcome = "failed" if rng.random() < FAILS else "completed"
    id_ = str(UUID(int=rng.getrandbits(128), version=4))
    return Record(id_, rng.getrandbits(32), created, work, outcome, rng.choice(DOMAINS))


def _vlmrun_status(record: Record, now: datetime) -> str:
    age = (now - record.created).total_seconds()
    if age >= record.work:
        return record.outcome
    return "pending" if age < record.work / 3 else "running"


def _show_vlmrun(record: Record, status: str, files: str) -> bytes:
    rng = random.Random(record.seed)
    lines = _lines(rng)
    done = status == "completed"
    response = {
        "invoice_id": f"INV-{record.created.year}-{rng.randrange(100_000):05}",
        "supplier": rng.choice(SUPPLIERS),
        "issued": (record.created - timedelta(days=rng.randrange(30))).date().isoformat(),
        "currency": rng.choice(CURRENCIES),
        "items": lines,
        "total": sum((line["amount"] for line in lines), Decimal(0)),
        "confidence": rng.choice(("hi", "med", "lo")),
    }
    shown: dict[str, Any] = {
        "usage": {
            "elements_processed": rng.randint(1, 4) if done else None,
            "element_type": "page" if done else None,
            "credits_used": rng.randint(1, 20) if done else None,
            "steps": None,
            "message": FAILURE if status == "failed" else None,
            "duration_seconds": int(record.work) if done else 0,
        },
        "id": record.id,
        # Without an offset, as the real service sends it beside a completed_at that has one.
        "created_at": record.created.replace(tzinfo=None).isoformat(),
        "completed_at": record.ended.isoformat().replace("+00:00", "Z") if done else None,
        "response": response if done else None,
        "status": status,
        "domain": record.group,
    }
    return _encode(shown)


# --- Cradl -------------------------------------------------------------------------------------------


def _make_cradl(rng: random.Random, created: datetime, work: float) -> Record:
    outcome = "failed" if rng.random() < FAILS else "succeeded"
    id_ = f"cradl:prediction:{rng.getrandbits(128):032x}"
    return Record(id_, rng.getrandbits(32), created, work, outcome, rng.choice(MODELS))


def _cradl_status(record: Record, now: datetime) -> str:
    return record.outcome if now >= record.ended else "pending"


def values(record: Record) -> bytes:
    """The extracted fields of a Cradl prediction, which the list omits."""
    rng = random.Random(record.seed)
    fields: list[dict[str, Any]] = [
        _value(rng, "supplier", rng.choice(SUPPLIERS)),
        _value(rng, "currency", rng.choice(CURRENCIES)),
        _value(rng, "total_amount", str(_amount(rng))),
    ]
    rows = [
        [_value(rng, "description", line["description"]), _value(rng, "amount", str(line["amount"]))]
        for line in _lines(rng)
    ]
    return _encode([*fields, {"label": "line_items", "value": rows, "page": 0}])


def _value(rng: random.Random, label: str, value: str) -> dict[str, Any]:
    left, top = rng.uniform(0, 0.8), rng.uniform(0, 0.9)
    confidence = round(rng.betavariate(8, 1.5), 4)
    shown = {
        "label": label,
        "value": value,
        "confidence": confidence,
        "page": 0,
        "location": [round(x, 3) for x in (left, top, left + 0.2, top + 0.03)],
    }
    return shown | ({"warnings": [WARNING]} if confidence < 0.5 else {})


def _show_cradl(record: Record, status: str, files: str) -> bytes:
    rng = random.Random(record.seed)
    done = status == "succeeded"
    shown: dict[str, Any] = {
        "predictionId": record.id,
        "documentId": f"cradl:document:{rng.getrandbits(128):032x}",
        "modelId": record.group,
        "createdBy": "cradl:app-client:sandbox",
        "createdTime": _cradl_time(record.created),
        "updatedBy": None,
        "updatedTime": None if status == "pending" else _cradl_time(record.ended),
        "name": f"scan-{rng.randrange(10_000):04}.pdf",
        "description": None,
        "metadata": {"batch": rng.randrange(50)},
        "predictions": None,
        "fileUrl": f"{files}/{record.id}" if done else None,
        "inferenceTime": round(record.work / 2, 3) if done else None,
        "postprocessConfig": {"strategy": "BEST_FIRST", "outputFormat": "v2"},
        "status": status,
    }
    if status == "failed":
        shown["error"] = FAILURE
    return _encode(shown)


def _cradl_time(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


VLMRUN = Kind(_make_vlmrun, _vlmrun_status, _show_vlmrun)
CRADL = Kind(_make_cradl, _cradl_status, _show_cradl)
