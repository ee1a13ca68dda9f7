"""Landed records: some of the sandbox's making, and each oddity that a number could stumble over."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_predictions.sandbox import data

CONFIDENCES: tuple[Any, ...] = (0, 0.7, 0.9, 1, 0.6999999999999999, 0.35, None, "high", True, [0.5], "0.5")


def made(service: str, first: datetime, last: datetime, count: int, seed: int = 1) -> list[bytes]:
    """Records of the sandbox between two moments: finished, failed, pending and running."""
    rng, kind = random.Random(seed), data.VLMRUN if service == "vlmrun" else data.CRADL
    found = []
    for _ in range(count):
        created = first + (last - first) * rng.random()
        record = kind.make(rng, created, rng.uniform(1, 4000))
        text = kind.show(record, kind.status(record, last), "http://localhost/files")
        if service == "cradl" and rng.random() < 0.8:
            text = json.dumps(json.loads(text) | {"predictions": json.loads(data.values(record))}).encode()
        found.append(text)
    return found


def odd(service: str, first: datetime, last: datetime, seed: int = 2) -> list[bytes]:
    """A record for each oddity, at moments between two."""
    rng = random.Random(seed)
    written = [
        lambda moment: moment.replace(tzinfo=None).isoformat(),
        lambda moment: moment.replace(tzinfo=None).isoformat(sep=" "),
        lambda moment: moment.astimezone(UTC).isoformat(),
        lambda moment: (moment + timedelta(hours=5, minutes=30)).strftime("%Y-%m-%dT%H:%M:%S+0530"),
        lambda moment: moment.strftime("%Y-%m-%d %H:%M:%S.%fZ"),
    ]
    members = vlmrun(first) if service == "vlmrun" else cradl()
    id_, created_at = ("id", "created_at") if service == "vlmrun" else ("predictionId", "createdTime")
    found = []
    for place, given in enumerate(members):
        moment = (first + (last - first) * rng.random()).replace(microsecond=0)
        base = {id_: f"odd-{place}", created_at: written[place % len(written)](moment)}
        found.append(json.dumps(base | given, ensure_ascii=bool(place % 2)).encode())
    return found


def vlmrun(first: datetime) -> list[dict[str, Any]]:
    """Oddities of VLM Run."""
    statuses = ("pending", "enqueued", "running", "paused", "cancelled", "exploded", "", None, "Failed")
    done = {"status": "completed", "domain": "a"}
    failed = {"status": "failed", "domain": "a"}
    return [
        *({"status": status, "domain": "b"} for status in statuses),
        {"domain": "b"},
        {"domain": "b", "status": {"code": 7, "of": [1, "two"]}},
        {"domain": {"name": "b", "of": [1, "two"]}, "status": "completed"},
        {"status": "completed"},
        {"status": "completed", "domain": None, "usage": None},
        {"status": "completed", "domain": "", "usage": {}},
        *(done | {"usage": {"credits_used": used}} for used in (0.1, 0.2, 0.3, 1.25, "4.5", True, [], -1)),
        *(
            done | {"usage": {"elements_processed": count, "element_type": kind, "credits_used": 1}}
            for count, kind in (
                (3, "image"),
                (2, "page"),
                (0, "page"),
                (1.5, "second"),
                (7, None),
                (None, "page"),
            )
        ),
        *(done | {"usage": usage} for usage in ("none", [1], 7, True)),
        *(
            failed | {name: message}
            for name in ("message", "error")
            for message in ("it broke", "  it \n broke ", "", None, {}, [], ["one", "two"], 5, "x" * 700)
        ),
        failed | {"usage": {"message": "no page"}},
        failed | {"message": "first", "error": "second", "usage": {"message": "third"}},
        failed | {"message": None, "error": "second", "usage": {"message": "third"}},
        failed | {"message": {"code": 7}, "domain": "c"},
        done | {"completed_at": (first + timedelta(days=1)).isoformat()},
        done | {"completed_at": "soon"},
        {"id": None, **done},
        {"id": None, **done},
        {"id": None, **failed, "message": "of nobody"},
        {"id": "", **done},
        {"id": "", **failed},
        {"created_at": "yesterday", **done},
        {"created_at": None, **done},
        {"created_at": "epoch", **done},
        *(
            {"status": "completed", "domain": domain}
            for domain in ("=cmd()", "+1", "-1", "@a", "\tt", "q\"',;")
        ),
    ]


def cradl() -> list[dict[str, Any]]:
    """Oddities of Cradl."""
    done = {"status": "succeeded", "modelId": "m", "documentId": "d"}
    failed = {"status": "failed", "modelId": "m", "documentId": "d"}
    rows = [[field("amount", 0.5), field("tax", 0.95)], [field("amount", 0.9)], []]
    return [
        *({"status": status, "modelId": "n"} for status in ("pending", "cancelled", "running", "Failed")),
        *({"status": status} for status in (None, "")),
        {},
        {"fileUrl": "http://localhost/f"},
        {"fileUrl": ""},
        {"predictions": []},
        {"predictions": None},
        {"inferenceTime": 3.25},
        {"inferenceTime": 0},
        *(done | {"inferenceTime": seconds} for seconds in (1, 2.5, "7.5", None, -1)),
        *(done | {"predictions": [field("total", sure)]} for sure in CONFIDENCES),
        done | {"predictions": [{"value": "x"}, {"label": None, "confidence": 0.1}, {"label": 5}]},
        done | {"predictions": [field("a", 0.2), field("b", 0.2), field("a", 0.2)]},
        done | {"predictions": [field("items", 0.4, value=rows, warnings=["odd rows"])]},
        done | {"predictions": [{"label": None, "value": rows}, {"label": "items", "value": []}]},
        *(failed | {"error": message} for message in ("it broke", " it \n broke", "", None)),
        *(
            done | {name: said}
            for name in ("errors", "warnings")
            for said in (["one", "two", "one"], ["one"], [], None, "text", "", {}, [None, ""], [" one\n"])
        ),
        *(failed | {name: {"code": 7, "of": [1, "two"]}} for name in ("error", "errors", "warnings")),
        {"status": {"code": 7, "of": [1, "two"]}, "modelId": ["n", "m"]},
        failed | {"error": "first", "errors": ["second"]},
        failed | {"errors": ["second", "third"]},
        done
        | {
            "predictions": [
                field("a", 0.8, errors=["not a sum"], warnings=["blurred", "cut"]),
                field("b", 0.8, errors=[], warnings=None),
                field("c", None, errors="text", warnings={}),
                {
                    "label": "items",
                    "errors": ["no rows"],
                    "value": [[field("a", 0.3, errors=["not a sum"]), field("b", 0.4, warnings=[None])]],
                },
            ]
        },
        {"predictionId": None, **done, "predictions": [field("a", 0.11)]},
        {"predictionId": None, **done, "predictions": [field("a", 0.12)], "documentId": None},
        {"predictionId": None, **done, "predictions": [field("a", 0.13)], "documentId": None},
        {"predictionId": "", **failed},
        {"createdTime": "yesterday", **done, "predictions": [field("a", 0.01)]},
        {"createdTime": None, **done},
        *({"status": "succeeded", "modelId": model} for model in ("=cmd()", "+1", "", None)),
    ]


def field(label: str, confidence: Any, **members: Any) -> dict[str, Any]:
    """An extracted field."""
    return {"label": label, "value": "x", "confidence": confidence} | members


def changed(texts: Iterable[bytes], **members: Any) -> list[bytes]:
    """The same records later, or earlier: with other members."""
    return [json.dumps(json.loads(text) | members).encode() for text in texts]


def with_values(texts: Iterable[bytes]) -> list[bytes]:
    """The same records, those of Cradl with empty values where there are none."""
    return [
        text
        if given.get("predictions") is not None or "id" in given
        else json.dumps(given | {"predictions": []}).encode()
        for text, given in ((text, json.loads(text)) for text in texts)
    ]


def shuffled(texts: Sequence[bytes], seed: int = 3) -> list[bytes]:
    """In another order."""
    return random.Random(seed).sample(texts, len(texts))
