"""Push predictions to XCom: the same for every service."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Annotated, Any

from airflow.providers.common.compat.sdk import Context
from pydantic import Field
from typing_extensions import override

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.filters import Filters, Names
from airflow_provider_predictions.api.json_slices import joined, members
from airflow_provider_predictions.api.limits import MAX_OBSERVED, MAX_XCOM_BYTES
from airflow_provider_predictions.api.models import Prediction
from airflow_provider_predictions.api.observed import (
    expected_words,
    no_match,
    unmatched_filters,
    unmatched_words,
)
from airflow_provider_predictions.api.page import Observed, Page
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.wording import counted
from airflow_provider_predictions.operators.outcome import OnEmpty, end_empty
from airflow_provider_predictions.operators.xcom import stored
from airflow_provider_predictions.tasks.arguments import Argument, Templated, declare
from airflow_provider_predictions.tasks.base import PredictionsTask
from airflow_provider_predictions.tasks.retry import airflow_errors


class _Reading:
    """What a list has shown so far, and the records as they are pushed.

    :param asked: the words of the filters.
    :param fields: push only these of each record; None for all.
    """

    def __init__(self, asked: Collection[str], fields: Collection[str] | None) -> None:
        self.asked = asked
        self.fields = fields
        self.observed = Observed()
        self._fields_met: dict[str, None] = {}

    def projected(self, prediction: Prediction) -> bytes:
        """A record with the selected fields."""
        if self.fields is None:
            return prediction.raw
        given = members(prediction.raw)
        for name in given:
            if len(self._fields_met) < MAX_OBSERVED or name in self.fields:
                self._fields_met[name] = None
        return joined({name: given.get(name, b"null") for name in self.fields})

    def unmatched(self, service: Service[Any], filters: Filters) -> str:
        """Describe the words that match nothing; empty if there are none."""
        texts = [unmatched_filters(service, filters, self.observed)]
        if self._fields_met:
            texts.append(unmatched_words("fields", self.fields, self._fields_met, self.observed.looked_at))
        return ". ".join(filter(None, texts))


class ListPredictionsOperator(PredictionsTask):
    """Push predictions to XCom, as a list of dicts, each as the service sent it.

    XCom cannot hold everything, so a warning counts what had to change. NUL characters and halves of
    surrogate pairs become U+FFFD, and so does the first letter of names that Airflow reserves, such as
    ``__classname__``. NaN and Infinity become null. Integers of more than 64 bits, and values nested deeper
    than 100 levels, become text. Numbers with a fraction or an exponent become doubles, which no warning
    counts. Landing keeps every byte.
    """

    arguments = declare(
        Templated(
            "fields",
            "str | Collection[str | Ref] | Ref | None",
            Names,
            "only these top-level fields of each record, null where a record has none; a list or comma-"
            "separated text",
            when_empty="records have no fields",
            example='["id", "status"]',
        ),
        Argument(
            "max_xcom_bytes",
            "int | None",
            Annotated[int, Field(ge=1)] | None,
            "fail, before anything is pushed, when the JSON is larger than this many bytes, by default a "
            "mebibyte; None for no limit",
            default=MAX_XCOM_BYTES,
        ),
        Argument(
            "on_empty",
            'Literal["warn", "skip", "fail", "ignore"]',
            OnEmpty,
            "what the task does if no record matches. A skip pushes the empty list",
            default="warn",
            example='"skip"',
        ),
    )

    @override
    def execute(self, context: Context) -> list[dict[str, Any]]:
        """List, and return what is pushed.

        :raises AirflowFailException: for what a retry cannot cure: a refused key, a wrong argument, a used-up
            quota, more than ``max_xcom_bytes``, no record with ``on_empty="fail"``.
        :raises AirflowSkipException: for no record with ``on_empty="skip"``.
        :raises TransientError: for what a retry may cure.
        """
        with airflow_errors():
            given = self.rendered()
            filters = self.filters(given)
            with self.hook.get_conn() as client:
                paginator = client.service.paginator(filters)
                read = _Reading(expected_words(client.service, filters), given.fields)
                texts = list(self._within_limit(client.pages(paginator), read))
        if paginator.proof.consistent is False:
            self.log.warning("Predictions may be missing: %s", paginator.proof.reason)
        number = counted(len(texts), "prediction")
        self.log.info("%s: %s in %s", self.hook.hook_name, number, counted(client.requests, "request"))
        if text := read.unmatched(client.service, filters):
            self.log.warning("%s", text)
        if not texts:
            end_empty(self, context, [], no_match(read.observed))
        changed: Counter[str] = Counter()
        records = [stored(text, changed) for text in texts]
        if told := ", ".join(f"{what}: {count}" for what, count in changed.items() if count):
            self.log.warning("XCom cannot hold all that was sent: %s. %s keeps it", told, self._landing_name)
        return records

    def _within_limit(self, pages: Iterable[Page], read: _Reading) -> Iterator[bytes]:
        size = len("[]")
        for page in pages:
            read.observed.add(page.observed, read.asked)
            for prediction in page.predictions:
                text = read.projected(prediction)
                size += len(text) + len(",")
                if self.max_xcom_bytes is not None and size > self.max_xcom_bytes:
                    raise ConfigurationError(
                        f"max_xcom_bytes: the predictions are larger than {self.max_xcom_bytes} bytes. "
                        f"Land them with {self._landing_name}, choose fields, or narrow the filters"
                    )
                yield text

    @property
    def _landing_name(self) -> str:
        return type(self).__name__.replace("ListPredictions", "PredictionsToObjectStorage")
