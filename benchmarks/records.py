"""Predictions of about 1 KB, made from their number: as many as asked for, none of them kept.

Both services' rows come newest first, and every id differs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

MOST = 1_000_000
"""Rows are a microsecond apart, within one second: no list can be longer."""
# Any odd number makes ids that differ; a large one makes them look unlike each other.
SPREAD = 0x9E3779B97F4B
ID, CREATED = "<id>", "<created>"

INVOICE = {
    "invoice_id": "INV-2026-04711",
    "supplier": "Brødrene Dahl AS",
    "issued": "2026-10-14",
    "due": "2026-11-13",
    "currency": "NOK",
    "items": [
        {"description": "Copy paper A4, 80 g, 5 x 500 sheets", "quantity": 12, "amount": 1079.4},
        {"description": 'Bolt 5/8", zinc-plated, pack of 100', "quantity": 3, "amount": 417.75},
        {"description": "Hosting, one month", "quantity": 1, "amount": 249.0},
        {"description": "Consulting per hour", "quantity": 7, "amount": 9450.0},
        {"description": "Taxi from Gardermoen to Storgata", "quantity": 2, "amount": 1580.0},
        {"description": "Espresso", "quantity": 4, "amount": 172.0},
    ],
    "total": 12948.15,
    "tax": 2589.63,
    "address": "Storgata 12, 0155 Oslo, Norway",
    "notes": "Please quote the number of the invoice. Goods remain our property until they are paid in full.",
    "confidence": "hi",
}
VLMRUN: dict[str, Any] = {
    "usage": {
        "elements_processed": 2,
        "element_type": "page",
        "credits_used": 4,
        "steps": None,
        "message": None,
        "duration_seconds": 7,
    },
    "id": f"7c9e6679-7425-40de-944b-{ID}",
    "created_at": CREATED,
    "completed_at": "2026-11-01T12:00:07.250000Z",
    "response": INVOICE,
    "status": "completed",
    "domain": "document.invoice",
}
CRADL: dict[str, Any] = {
    "predictionId": f"cradl:prediction:0d9c2f3b5a6147e8b1f0{ID}",
    "documentId": "cradl:document:0d9c2f3b5a6147e8b1f0c4d2e6a89b73",
    "modelId": "cradl:model:invoices-2f6b",
    "createdBy": "cradl:app-client:benchmark",
    "createdTime": f"{CREATED}Z",
    "updatedBy": None,
    "updatedTime": "2026-11-01T12:00:07.250000Z",
    "name": "scan-0471.pdf",
    "description": None,
    "metadata": {"batch": 17},
    "predictions": [
        {
            "label": label,
            "value": value,
            "confidence": 0.9731,
            "page": 0,
            "location": [0.12, 0.34, 0.32, 0.37],
        }
        for label, value in (
            ("supplier", "Brødrene Dahl AS"),
            ("currency", "NOK"),
            ("total_amount", "12948.15"),
            ("due_date", "2026-11-13"),
            ("bank_account", "8601 11 17947"),
        )
    ],
    "fileUrl": None,
    "inferenceTime": 3.125,
    "postprocessConfig": {"strategy": "BEST_FIRST", "outputFormat": "v2"},
    "status": "succeeded",
}


def rows_of(template: dict[str, Any]) -> Callable[..., bytes]:
    """A function that makes the rows with the given numbers, as JSON with commas in between.

    Its second argument is the length to which a row is filled up.
    """
    text = json.dumps(template, ensure_ascii=False, separators=(",", ":")).replace("%", "%%")
    form = text.replace(ID, "%012x").replace(CREATED, "2026-11-01T12:00:00.%06d").encode()

    def rows(numbers: range, length: int = 0) -> bytes:
        padding = b',"padding":"%s"}' % (b"x" * (length - len(form % (0, 0)) - len(',"padding":""')))
        padded = form[:-1] + padding if length else form
        return b",".join([padded % ((n + 1) * SPREAD % 2**48, MOST - 1 - n) for n in numbers])

    return rows


vlmrun_rows = rows_of(VLMRUN)
cradl_rows = rows_of(CRADL)
