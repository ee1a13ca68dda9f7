"""Write the signatures that editors and type checkers read into the classes, from the declared arguments.

`signatures.py` writes them, `signatures.py --check` fails where one is not up to date.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from pathlib import Path

from airflow.providers.common.compat.sdk import BaseSensorOperator

from airflow_provider_predictions.operators import cradl, iceberg, report, vlmrun
from airflow_provider_predictions.sensors.cradl import CradlPredictionsSensor
from airflow_provider_predictions.sensors.vlmrun import VlmRunPredictionsSensor
from airflow_provider_predictions.tasks.arguments import REQUIRED, Argument, ArgumentsTask

CLASSES: tuple[type[ArgumentsTask], ...] = (
    vlmrun.VlmRunListPredictionsOperator,
    vlmrun.VlmRunPredictionsToObjectStorageOperator,
    cradl.CradlListPredictionsOperator,
    cradl.CradlPredictionsToObjectStorageOperator,
    iceberg.PredictionsToIcebergOperator,
    report.PredictionsReportOperator,
    VlmRunPredictionsSensor,
    CradlPredictionsSensor,
)
HEAD = "    if TYPE_CHECKING:  # written by scripts/signatures.py\n"
BLOCK = re.compile(re.escape(HEAD) + r".*?\) -> None: \.\.\.\n", re.DOTALL)


def block_of(made: type[ArgumentsTask]) -> str:
    """The signature of a class, as `ruff format` has it."""
    rows = "".join(f"            {parameter(argument)},\n" for argument in made.declared.values())
    of_airflow = "OperatorArgs" if "retry_policy" in made.declared else "OtherArgs"
    if issubclass(made, BaseSensorOperator):
        of_airflow = "SensorArgs"
    return (
        f"{HEAD}\n        def __init__(\n            self,\n            *,\n{rows}"
        f"            **kwargs: Unpack[{of_airflow}],\n        ) -> None: ...\n"
    )


def parameter(argument: Argument) -> str:
    default = "" if argument.default is REQUIRED else f" = {argument.default_text.replace(chr(39), chr(34))}"
    return f"{argument.name}: {argument.type}{default}"


def written(source: str, made: type[ArgumentsTask]) -> str:
    """The source of a module with the signature of one of its classes."""
    lines = source.splitlines(keepends=True)
    (node,) = (n for n in ast.parse(source).body if isinstance(n, ast.ClassDef) and n.name == made.__name__)
    before, body = lines[: node.lineno - 1], "".join(lines[node.lineno - 1 : node.end_lineno])
    after = lines[node.end_lineno or 0 :]
    if BLOCK.search(body):
        body = BLOCK.sub(lambda _: block_of(made), body)
    else:
        body = f"{body.rstrip()}\n\n{block_of(made)}"
    return "".join([*before, body, *after])


def main(*, check: bool) -> int:
    stale = []
    for made in CLASSES:
        path = Path(inspect.getfile(made))
        source = path.read_text()
        if (new := written(source, made)) != source:
            stale.append(made.__name__)
            if not check:
                path.write_text(new)
    print(f"{'stale' if check else 'written'}: {', '.join(stale) or 'none'}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv))
