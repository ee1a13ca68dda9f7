"""What operators and sensors share: the filters, the hook and the link."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator, BaseOperatorLink

from airflow_provider_predictions._compat import AIRFLOW_V_3_3_PLUS, argument_of, class_of
from airflow_provider_predictions.api.arguments import Arguments, Filters, checked, checked_conn_id
from airflow_provider_predictions.hooks.base import PredictionsHook
from airflow_provider_predictions.tasks.retry import PredictionsRetryPolicy

RETRY_POLICY = PredictionsRetryPolicy()


class DashboardLink(BaseOperatorLink):
    """A link from the task to the service's dashboard."""

    name = "Dashboard"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The ``dashboard_url`` of the task's connection; empty where it cannot be found out.

        :param operator: the task.
        :param ti_key: which run of it; the link is the same for all.
        """
        # Airflow asks after a failure, too. An error here would hide why the task has failed.
        try:
            hook_class = class_of(operator).hook_class
            conn_id = argument_of(operator, hook_class.conn_name_attr) or hook_class.default_conn_name
            return str(hook_class(conn_id).dashboard_url())
        except Exception:
            return ""


class PredictionsTask(BaseOperator):
    """A task that reads predictions.

    :param statuses: only these; a list or comma-separated text (templated).
    :param created_after: only those created then or later: an aware datetime or ISO 8601 text, UTC where it
        has no offset (templated).
    :param created_before: only those created before (templated).
    :param max_predictions: no more than these (templated).
    :param page_size: rows a request, 1 to 1000; by default as many as the service is known to give
        (templated).
    :param retry_policy: when Airflow tries again (3.3 or newer); by default ``PredictionsRetryPolicy``.
    """

    hook_class: ClassVar[type[PredictionsHook[Any]]]
    template_fields: Sequence[str] = (
        "statuses",
        "created_after",
        "created_before",
        "max_predictions",
        "page_size",
    )
    operator_extra_links: Sequence[BaseOperatorLink] = (DashboardLink(),)
    ui_color = "#e4ecf7"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Join the template fields of all bases, so that each class names only its own."""
        super().__init_subclass__(**kwargs)
        named = (name for base in reversed(cls.__mro__) for name in vars(base).get("template_fields", ()))
        cls.template_fields = tuple(dict.fromkeys(named))

    def __init__(
        self,
        *,
        statuses: Collection[str] | str | None = None,
        created_after: datetime | str | None = None,
        created_before: datetime | str | None = None,
        max_predictions: int | str | None = None,
        page_size: int | str | None = None,
        retry_policy: Any = RETRY_POLICY,
        **kwargs: Any,
    ) -> None:
        if AIRFLOW_V_3_3_PLUS:
            kwargs["retry_policy"] = retry_policy
        super().__init__(**kwargs)
        self.statuses = statuses
        self.created_after = created_after
        self.created_before = created_before
        self.max_predictions = max_predictions
        self.page_size = page_size

    def check_filters(self) -> None:
        """Refuse wrong filters and no connection while the DAG is parsed, where they are not templates.

        :raises ConfigurationError: naming the argument that is wrong.
        """
        name = self.hook_class.conn_name_attr
        if not is_template(conn_id := getattr(self, name)):
            checked_conn_id(name, conn_id)
        given = self._filter_arguments()
        self.hook_class.filters(**{name: value for name, value in given.items() if not is_template(value)})

    @property
    def hook(self) -> PredictionsHook[Any]:
        """The hook of the task's connection."""
        name = self.hook_class.conn_name_attr
        return self.hook_class(**{name: getattr(self, name)})

    def filters(self) -> Filters:
        """The rendered filters, checked.

        :raises ConfigurationError: naming the argument that is wrong.
        """
        filters = self.hook_class.filters(**self._filter_arguments())
        if filters.created_after and filters.created_after == filters.created_before:
            self.log.warning(
                "created_after and created_before are the same moment, so nothing can match. In Airflow 3 "
                "the data interval of a cron schedule has no width; compute the window from one end."
            )
        return filters

    def _filter_arguments(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.hook_class.service_class.filters.model_fields}


def check_arguments(task: Any, model: type[Arguments]) -> None:
    """Refuse wrong arguments while the DAG is parsed, where they are not templates.

    :param task: the task, which holds them by their names.
    :param model: what they must be; None stands for a template.
    :raises ConfigurationError: naming the argument that is wrong.
    """
    given = {name: getattr(task, name) for name in model.model_fields}
    checked(model, {name: None if is_template(value) else value for name, value in given.items()})


def is_template(value: object) -> bool:
    """Whether a value is known only when the task runs: Jinja, or the output of another task."""
    text = str(value)
    return "{{" in text or "{%" in text
