"""List and land the predictions of Cradl."""

from __future__ import annotations

from typing import Any

from airflow_provider_predictions.operators.arguments import check
from airflow_provider_predictions.operators.landing import PredictionsToObjectStorageOperator
from airflow_provider_predictions.operators.listing import ListPredictionsOperator
from airflow_provider_predictions.tasks.cradl import CradlTask


class CradlListPredictionsOperator(CradlTask, ListPredictionsOperator):
    """Push the predictions of Cradl to XCom, each a dict as Cradl sent it.

    Takes the arguments of ``CradlTask``, ``ListPredictionsOperator`` and ``PredictionsTask``.
    """


class CradlPredictionsToObjectStorageOperator(CradlTask, PredictionsToObjectStorageOperator):
    """Land the predictions of Cradl in object storage, byte for byte, and push the manifest to XCom.

    Takes the arguments of ``CradlTask``, ``PredictionsToObjectStorageOperator`` and ``PredictionsTask``.

    :param fetch_values: Cradl's list leaves the extracted values out and names a ``fileUrl``; with True, each
        such file is fetched and put into the record as its ``predictions``. One more request a record. A file
        that is gone or forbidden does not stop the landing: its record lands without values.
    :param max_values_missing: with ``fetch_values``, fail, after all has landed, when more records than these
        are without their values; None never to fail. The manifest counts them.
    :raises ConfigurationError: naming the argument that is wrong.
    """

    def __init__(
        self, *, fetch_values: bool = False, max_values_missing: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.fetch_values = fetch_values
        self.max_values_missing = max_values_missing
        check(self)
