"""The arguments of Airflow's own base classes: their types, and the checks that Airflow leaves out.

The types are wide, since Airflow checks most of the values.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Required, TypedDict

from airflow.providers.common.compat.sdk import Asset, AssetAlias, BaseSensorOperator
from pydantic import AfterValidator

from airflow_provider_predictions._compat import AIRFLOW_V_3_3_PLUS, AssetRef, BaseAsset, RetryPolicy
from airflow_provider_predictions.api.coercion import short
from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.filters import Lookback
from airflow_provider_predictions.tasks.declaration import Argument, declare


class OperatorArgs(TypedDict, total=False):
    """The arguments of ``BaseOperator`` in the versions of Airflow that the package supports."""

    task_id: Required[str]
    owner: str
    email: Any
    email_on_retry: bool
    email_on_failure: bool
    retries: int | None
    retry_delay: timedelta | float
    retry_exponential_backoff: bool | float
    max_retry_delay: timedelta | float | None
    start_date: datetime | None
    end_date: datetime | None
    depends_on_past: bool
    ignore_first_depends_on_past: bool
    wait_for_past_depends_before_skipping: bool
    wait_for_downstream: bool
    dag: Any
    params: Any
    default_args: dict[str, Any] | None
    priority_weight: int
    weight_rule: Any
    queue: str
    pool: str | None
    pool_slots: int
    sla: timedelta | None
    execution_timeout: timedelta | None
    on_execute_callback: Any
    on_failure_callback: Any
    on_success_callback: Any
    on_retry_callback: Any
    on_skipped_callback: Any
    pre_execute: Callable[..., Any] | None
    post_execute: Callable[..., Any] | None
    trigger_rule: str
    resources: dict[str, Any] | None
    run_as_user: str | None
    map_index_template: str | None
    max_active_tis_per_dag: int | None
    max_active_tis_per_dagrun: int | None
    task_concurrency: int | None
    executor: str | None
    executor_config: dict[str, Any] | None
    do_xcom_push: bool
    multiple_outputs: bool
    inlets: Any
    outlets: Any
    task_group: Any
    doc: str | None
    doc_md: str | None
    doc_json: str | None
    doc_yaml: str | None
    doc_rst: str | None
    task_display_name: str | None
    logger_name: str | None
    allow_nested_operators: bool
    render_template_as_native_obj: bool | None


class OtherArgs(OperatorArgs, total=False):
    """The arguments of ``BaseOperator``, with the retry policy that the other classes declare themselves."""

    retry_policy: Any


class SensorArgs(OperatorArgs, total=False):
    """The arguments of ``BaseSensorOperator``."""

    poke_interval: timedelta | float
    timeout: timedelta | float
    soft_fail: bool
    mode: str
    exponential_backoff: bool
    max_wait: timedelta | float | None
    silent_fail: bool
    never_fail: bool


def items(given: Any) -> list[Any]:
    """A list of one or several, as Airflow reads them. Before 3.3, only a list is several."""
    several = list | tuple | set | frozenset if AIRFLOW_V_3_3_PLUS else list
    return [*given] if isinstance(given, several) else [given] if given else []


def _checked_outlets(outlets: Any) -> Any:
    """Refuse outlets for which Airflow creates no event and OpenLineage no dataset."""
    for outlet in items(outlets):
        kind = type(outlet).__name__
        if isinstance(outlet, BaseAsset) and not isinstance(outlet, Asset | AssetRef | AssetAlias):
            raise ConfigurationError(
                f"outlets: holds {kind}, a condition, for which Airflow creates no event. "
                "Give the assets themselves, such as [a, b] instead of a & b"
            )
        if not (isinstance(outlet, BaseAsset | Mapping) or _is_dataset(outlet)):
            raise ConfigurationError(
                f"outlets: {short(outlet)} is not an asset, so Airflow would create no event for it. "
                "Give a list of assets, such as [Asset('predictions')]"
            )
    return outlets


def _is_dataset(outlet: object) -> bool:
    """Whether it may be a dataset of OpenLineage or an entity of lineage. These are attrs classes."""
    module = type(outlet).__module__
    is_of_lineage = ".lineage." in module or not module.startswith("airflow.")
    return is_of_lineage and hasattr(type(outlet), "__attrs_attrs__")


def _checked_policy(policy: object) -> object:
    if policy is not None and not isinstance(policy, RetryPolicy):
        raise ValueError("must be a retry policy, such as PredictionsRetryPolicy()")
    return policy


def _checked_callbacks(callbacks: Any) -> Any:
    for callback in items(callbacks):
        if not callable(callback):
            raise ValueError("must be a function, or a list of functions; Airflow would only log the error")
    return callbacks


_SENSOR = inspect.signature(BaseSensorOperator.__init__).parameters
Policy = Annotated[Any, AfterValidator(_checked_policy)]
_Outlets = Annotated[Any, AfterValidator(_checked_outlets)]
_Callbacks = Annotated[Any, AfterValidator(_checked_callbacks)]
OF_OPERATORS = declare(
    Argument(
        "outlets",
        "Any",
        _Outlets,
        "the assets that the task updates",
        example='[Asset("predictions")]',
        is_opaque=True,
    ),
    Argument("retry_policy", "RetryPolicy | None", Policy, "when Airflow retries"),
    *(
        Argument(f"on_{event}_callback", "Any", _Callbacks, f"what is called on {event}", is_opaque=True)
        for event in ("execute", "failure", "success", "retry", "skipped")
    ),
)
"""Arguments of every operator that Airflow accepts without a check."""
OF_SENSORS = declare(
    *(
        Argument(name, "bool", bool, "see Airflow", default=False)
        for name in ("soft_fail", "never_fail", "silent_fail", "exponential_backoff")
    ),
    *(
        Argument(name, "timedelta | float", Lookback, "see Airflow", default=_SENSOR[name].default)
        for name in ("poke_interval", "timeout", "max_wait")
    ),
)
"""Arguments of every sensor that Airflow accepts without a check. There, the text "false" would be true."""
