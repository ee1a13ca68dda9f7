"""What some Airflow versions lack and ``airflow.providers.common.compat`` does not provide."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow.providers.common.compat.sdk import AirflowOptionalProviderFeatureException
from airflow.providers.common.compat.version_compat import (
    AIRFLOW_V_3_0_PLUS,
    AIRFLOW_V_3_2_PLUS,
    AIRFLOW_V_3_3_PLUS,
)
from airflow.triggers.base import BaseTrigger

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk.definitions._internal.mixins import ResolveMixin

    Ref: TypeAlias = ResolveMixin | Callable[..., Any]
    """What a templated argument accepts beside its own type: outputs of tasks, DAG parameters, functions."""

if TYPE_CHECKING or AIRFLOW_V_3_0_PLUS:  # one definition for type checkers
    from airflow.sdk.definitions.mappedoperator import OperatorPartial
    from airflow.triggers.base import BaseEventTrigger
else:
    from airflow.models.mappedoperator import OperatorPartial  # type: ignore[import-not-found, no-redef]

    class BaseEventTrigger(BaseTrigger):  # type: ignore[no-redef]
        """Stands for the base class of the triggers of asset watchers. Creating one raises an error."""

        def __init__(self, **_: Any) -> None:
            raise AirflowOptionalProviderFeatureException(
                f"{type(self).__name__}: asset watchers need Airflow 3.0 or newer; wait with a sensor instead"
            )


if AIRFLOW_V_3_0_PLUS:
    from airflow.sdk.definitions.asset import AssetRef, BaseAsset
else:
    from airflow.datasets import BaseDataset as BaseAsset  # type: ignore[import-not-found,no-redef]

    class AssetRef:  # type: ignore[no-redef]
        """Stands for a reference to an asset by name or URI, which Airflow 2 lacks."""


if AIRFLOW_V_3_3_PLUS or not AIRFLOW_V_3_0_PLUS:
    from airflow.providers.common.compat.sdk import mask_secret

    def unmask_secret(secret: str) -> None:
        """Make the masker forget a secret. Airflow has no function for that."""
        path = "airflow.sdk._shared" if AIRFLOW_V_3_3_PLUS else "airflow.utils.log"
        # If a later Airflow moves the masker, it remembers more than it must.
        with suppress(ImportError, AttributeError):
            masker = import_module(f"{path}.secrets_masker")._secrets_masker()
            spent = {*masker._adaptations(secret)}
            # One at a time, in place: other threads add to the set.
            for pattern in list(masker.patterns):
                if re.sub(r"\\(.)", r"\1", pattern) in spent:
                    masker.patterns.discard(pattern)
else:

    def mask_secret(secret: Any, name: str | None = None) -> None:  # type: ignore[misc]
        """Do nothing: in Airflow 3.0 to 3.2, only the thread that runs a task may call the masker."""

    def unmask_secret(secret: str) -> None:
        """Do nothing: there is nothing to forget."""


if AIRFLOW_V_3_3_PLUS:
    from airflow.providers.common.compat.sdk import RetryPolicy
    from airflow.sdk.exceptions import AirflowRescheduleException
    from airflow.triggers.shared_stream import SharedStreamProducer
else:
    from airflow.exceptions import AirflowRescheduleException

    class RetryPolicy:  # type: ignore[no-redef]
        """Stands for the base class of retry policies."""

    class SharedStreamProducer:  # type: ignore[no-redef]
        """Stands for the base class of the producers of shared streams."""


RESOLVES_PATHS = AIRFLOW_V_3_0_PLUS and not AIRFLOW_V_3_2_PLUS
"""Whether rendering calls ``pathlib.Path.resolve`` with the context of the task, which fails."""


def attached_schemes() -> set[str]:
    """The schemes of the storages that ``attach`` has registered in this process."""
    module = sys.modules.get("airflow.sdk.io.store") or sys.modules.get("airflow.io.store")
    stores = getattr(module, "_STORE_CACHE", {}).values()
    return {store.protocol for store in stores if "fs" in vars(store)}


def class_of(operator: Any) -> Any:
    """The class of a task, which may be mapped, or read from the database by Airflow 2."""
    if module := getattr(operator, "_task_module", None):
        name = getattr(operator, "_task_type", None) or operator.task_type
        return getattr(import_module(module), name)
    return type(operator)


def argument_of(operator: Any, name: str) -> Any:
    """An argument of a task, which may be mapped; None if it was not given.

    :raises LookupError: if it may differ between the instances of a mapped task.
    """
    if not hasattr(operator, "partial_kwargs"):
        return getattr(operator, name, None)
    mapped = operator.expand_input.value
    if not isinstance(mapped, dict) or name in mapped:
        raise LookupError(name)
    return operator.partial_kwargs.get(name)


def is_deferral_timeout(error: BaseException) -> bool:
    """Whether Airflow ended a deferred task because its timeout has passed."""
    # Airflow 2 has no class for that: TaskDeferralError("Trigger/execution timeout").
    is_named = type(error).__name__ == "TaskDeferralError" and str(error).endswith("timeout")
    return type(error).__name__ == "TaskDeferralTimeout" or (is_named and not AIRFLOW_V_3_0_PLUS)


def first_reschedule_date(context: Context) -> datetime | None:
    """When a rescheduled task first started; None if it was not rescheduled."""
    ti: Any = context["ti"]
    if AIRFLOW_V_3_0_PLUS:
        began: datetime | None = ti.get_first_reschedule_date(context)
    else:
        from airflow.sensors.base import _orig_start_date  # type: ignore[import-not-found]

        first_try = ti.max_tries - ti.task.retries + 1
        began = _orig_start_date(ti.dag_id, ti.task_id, ti.run_id, ti.map_index, first_try)
    return began


# What other modules import from here though it is Airflow's.
__all__ = [
    "AIRFLOW_V_3_0_PLUS",
    "AIRFLOW_V_3_3_PLUS",
    "AirflowRescheduleException",
    "AssetRef",
    "BaseAsset",
    "BaseEventTrigger",
    "OperatorPartial",
    "RetryPolicy",
    "SharedStreamProducer",
    "mask_secret",
]
