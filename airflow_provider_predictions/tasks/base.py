"""What operators and sensors share: the filters, the hook and the link."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperatorLink
from typing_extensions import override

from airflow_provider_predictions._compat import argument_of, class_of
from airflow_provider_predictions.api.filters import ConnId, Filters, MaxPredictions, PageSize, Time, Words
from airflow_provider_predictions.hooks.base import PredictionsHook
from airflow_provider_predictions.tasks.airflow_arguments import Policy
from airflow_provider_predictions.tasks.arguments import Argument, ArgumentsTask, Templated, declare
from airflow_provider_predictions.tasks.references import is_reference
from airflow_provider_predictions.tasks.retry import PredictionsRetryPolicy

RETRY_POLICY = PredictionsRetryPolicy()


class DashboardLink(BaseOperatorLink):
    """A link from the task to the service's dashboard."""

    name = "Dashboard"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The ``dashboard_url`` of the task's connection; empty if it cannot be found."""
        # Airflow also asks after a failure. An error here would hide why the task failed.
        try:
            hook_class = class_of(operator).hook_class
            conn_id = argument_of(operator, hook_class.conn_name_attr) or hook_class.default_conn_name
            return str(hook_class(conn_id).dashboard_url())
        except Exception:
            return ""


class PredictionsTask(ArgumentsTask):
    """A task that reads predictions."""

    hook_class: ClassVar[type[PredictionsHook[Any]]]
    arguments = declare(
        Templated(
            "statuses",
            "str | Collection[str | Ref] | Ref | None",
            Words,
            "read only predictions with these statuses, as a list or comma-separated text",
            when_empty="nothing matches",
            example='["failed"]',
        ),
        Templated(
            "created_after",
            "datetime | date | str | Ref | None",
            Time,
            "read only predictions created at this time or later: an aware datetime, a date or ISO 8601 "
            "text, in UTC if it has no offset",
            example='"2026-11-01T06:00+01:00"',
        ),
        Templated(
            "created_before",
            "datetime | date | str | Ref | None",
            Time,
            "read only predictions created before this time",
            example='"2026-11-02"',
        ),
        Templated(
            "max_predictions",
            "int | str | Ref | None",
            MaxPredictions,
            "read at most this many predictions",
            example="1000",
        ),
        Templated(
            "page_size",
            "int | str | Ref | None",
            PageSize,
            "rows per request, 1 to 1000; by default as many as the service is known to return",
            example="100",
        ),
        Argument(
            "retry_policy",
            "RetryPolicy | None",
            Policy,
            "when Airflow retries (Airflow 3.3 or newer); by default a ``PredictionsRetryPolicy``",
            default=RETRY_POLICY,
            shown_default="RETRY_POLICY",
        ),
    )
    operator_extra_links: Sequence[BaseOperatorLink] = (DashboardLink(),)

    @classmethod
    @override
    def check_together(cls, values: Any) -> None:
        super().check_together(values)
        given = {name: value for name, value in cls._filters_in(values).items() if not is_reference(value)}
        cls.hook_class.filters(**given)

    @property
    def hook(self) -> PredictionsHook[Any]:
        """The hook of the task's connection."""
        name = self.hook_class.conn_name_attr
        return self.hook_class(**{name: self._rendered(name)})

    def filters(self, values: Any) -> Filters:
        """The filters of a list, from all arguments, rendered.

        :raises ConfigurationError: naming the argument that is wrong.
        """
        filters = self.hook_class.filters(**self._filters_in(values))
        if filters.created_after and filters.created_after == filters.created_before:
            self.log.warning(
                "created_after and created_before are the same moment, so nothing can match. In Airflow 3 "
                "the data interval of a cron schedule has no width; compute the window from one end."
            )
        return filters

    @classmethod
    def _filters_in(cls, values: Any) -> dict[str, Any]:
        return {name: getattr(values, name) for name in cls.hook_class.service_class.filters.model_fields}


def conn_id(hook_class: type[PredictionsHook[Any]]) -> Templated:
    """The argument that names the connection of a service."""
    return Templated(
        hook_class.conn_name_attr,
        "str | Ref",
        ConnId,
        "the Airflow connection",
        default=hook_class.default_conn_name,
        needed="give the id of an Airflow connection",
        example=f'"{hook_class.default_conn_name}"',
    )
