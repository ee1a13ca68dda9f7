"""List and land the predictions of Cradl."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.operators.landing import PredictionsToObjectStorageOperator
from airflow_provider_predictions.operators.listing import ListPredictionsOperator
from airflow_provider_predictions.tasks.arguments import Argument, declare
from airflow_provider_predictions.tasks.cradl import CradlTask


class CradlListPredictionsOperator(CradlTask, ListPredictionsOperator):
    """Push the predictions of Cradl to XCom, each a dict as Cradl sent it."""


class CradlPredictionsToObjectStorageOperator(CradlTask, PredictionsToObjectStorageOperator):
    """Land the predictions of Cradl in object storage, byte for byte, and push the manifest to XCom."""

    arguments = declare(
        Argument(
            "fetch_values",
            "bool",
            bool,
            "Cradl's list leaves the extracted values out and names a ``fileUrl``; with True, each such "
            "file is fetched and put into the record as its ``predictions``. One more request a record. A "
            "file that is gone or forbidden does not stop the landing: its record lands without values",
            default=False,
            example="True",
        ),
        Argument(
            "max_values_missing",
            "int | None",
            Annotated[int, Field(ge=0)] | None,
            "with ``fetch_values``, fail, after all has landed, when more records than these are without "
            "their values; None never to fail. The manifest counts them",
            example="10",
        ),
    )

    def check_together(self, values: Any) -> None:
        """Refuse arguments that do not go together.

        :param values: all arguments.
        :raises ConfigurationError: naming the argument that is wrong.
        """
        super().check_together(values)
        if values.max_values_missing is not None and not values.fetch_values:
            raise ConfigurationError("max_values_missing: goes with fetch_values=True only")
