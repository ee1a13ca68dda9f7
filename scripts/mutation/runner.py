"""Tests in processes of their own, forked from one that has imported what is slow to import."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mutation.mutants import PACKAGES, ROOT, Mutant, modules, path_of

TESTS = (
    "api/**/test_*.py", "contract/test_beyond.py", "hooks/test_*.py", "operators/test_incremental.py",
    "operators/test_operators.py", "operators/test_values.py", "reliability/test_bounds.py",
    "report/test_incremental.py", "report/test_source.py", "security/test_bearer.py", "security/test_ids.py",
    "security/test_messages.py", "security/test_nesting.py", "security/test_paths.py",
    "security/test_tls.py", "security/test_urls.py", "sensors/test_*.py", "storage/test_*.py",
    "tasks/test_arguments.py", "test_bad_input.py", "triggers/test_*.py",
)  # fmt: skip
"""Those of tests/ that look at these packages closely and start no whole Airflow."""
SLOW_IMPORTS = (
    "adlfs", "airflow.configuration", "airflow.providers.common.compat.sdk",
    "airflow.serialization.serialized_objects", "duckdb", "gcsfs", "httpx", "hypothesis",
    "hypothesis_jsonschema", "moto", "pyarrow.parquet", "requests_oauthlib", "s3fs", "sqlite3",
    "starlette.applications", "tenacity", "urllib3", "uvicorn", "zstandard",
)  # fmt: skip
BASELINE = ROOT / ".venv" / "mutation.json"
SLOW = 0.03
FIRST_TESTS = 15
IMPORT = re.compile(r"^from airflow_provider_predictions\.(\S+) import (.*)", re.MULTILINE)
MOST_SECONDS = 25.0
"""By the baseline, of the tests that one mutant meets."""
PATIENCE = 10
"""A test that takes so many times as long as without the change, and as many seconds more, has noticed it."""
LONGEST_START = 60
"""Seconds until the first test."""
MOST_MEMORY = 6 << 30
NOTE = "test-that-is-run"


class Changed(MetaPathFinder, Loader):
    """Imports one module from another source."""

    def __init__(self, mutant: Mutant) -> None:
        self._name = f"airflow_provider_predictions.{mutant.module}"
        self._path, self._source = path_of(mutant.module), mutant.source

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        return spec_from_file_location(name, self._path, loader=self) if name == self._name else None

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._source, self._path, "exec"), module.__dict__)


class Chosen:
    """Runs some tests of the files that are collected, in their order.

    Says which of them runs, and ends the process when that takes much longer than without the change.

    :param tests: by their ids, not all of which a command line can hold.
    """

    def __init__(self, tests: list[str], seconds: dict[str, float], note: Path) -> None:
        self._order = {id_: number for number, id_ in enumerate(tests)}
        self._seconds, self._note = seconds, note

    def pytest_sessionstart(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, LONGEST_START)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        chosen = (item for item in items if item.nodeid in self._order)
        items[:] = sorted(chosen, key=lambda item: self._order[item.nodeid])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._note.write_text(item.nodeid)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE * (1 + self._seconds[item.nodeid]))
        return (yield)


class Recorder:
    """Which lines each test runs, and how long it takes."""

    def __init__(self) -> None:
        from coverage import Coverage

        sources = [str(ROOT / "airflow_provider_predictions" / name) for name in PACKAGES]
        self._coverage = Coverage(data_file=None, source=sources, config_file=False)
        self._coverage.start()
        self.seconds: dict[str, float] = {}
        self.bad: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._coverage.switch_context(item.nodeid)
        began = time.monotonic()
        result = yield
        self.seconds[item.nodeid] = round(time.monotonic() - began, 4)
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.passed:
            self.bad.add(report.nodeid)

    def facts(self) -> dict[str, Any]:
        self._coverage.stop()
        data = self._coverage.get_data()
        facts = {
            id_: {"seconds": seconds, "lines": defaultdict(list)}
            for id_, seconds in self.seconds.items()
            if id_ not in self.bad
        }
        for module in modules():
            for line, contexts in data.contexts_by_lineno(str(path_of(module))).items():
                for id_ in facts.keys() & set(contexts):
                    facts[id_]["lines"][module].append(line)
        return facts


@contextmanager
def prepared() -> Iterator[None]:
    """Have all that processes share: a place for their files, imports, and servers of storage."""
    with ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="mutation-"))
        tempfile.tempdir = home
        # As tests/conftest.py and tests/storage/conftest.py have it, which each process imports again.
        os.environ |= {
            "AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AWS_EC2_METADATA_DISABLED": "true", "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
            "NO_GCE_CHECK": "true",
        }  # fmt: skip
        sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]
        for name in SLOW_IMPORTS:
            importlib.import_module(name)
        servers = importlib.import_module("tests.storage.servers")
        for name in ("s3_server", "gs_server", "azure_server"):
            address = stack.enter_context(getattr(servers, name)())
            setattr(servers, name, lambda address=address: nullcontext(address))
        yield


class Baseline:
    """What each test runs without a change, how long it takes, and which mutants it has killed.

    From a run before, where that still holds: neither the test's file has changed nor anything that is no
    test.
    """

    def __init__(self) -> None:
        package = [*(ROOT / "airflow_provider_predictions").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
        shared = _digest(file for file in package if not file.name.startswith("test_"))
        found = [file for name in TESTS for file in sorted((ROOT / "tests").glob(name))]
        files = {str(file.relative_to(ROOT)): _digest([file]) for file in found}
        known = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
        if known.get("shared") != shared:
            known = {"files": {}, "tests": {}, "killed": {}}
        changed = {file for file, digest in files.items() if known["files"].get(file) != digest}
        stay = files.keys() - changed
        self._facts = {"shared": shared, "files": files}
        self.tests = {id_: test for id_, test in known["tests"].items() if _file_of(id_) in stay}
        self.killed = {name: id_ for name, id_ in known["killed"].items() if _file_of(id_) in stay}
        if changed:
            self.tests |= _recorded(sorted(changed))
            self.keep()
        self.seconds = {id_: test["seconds"] for id_, test in self.tests.items()}
        self._imports = {name: _imports_of((ROOT / name).read_text()) for name in files}
        self._running: dict[tuple[str, int], set[str]] = defaultdict(set)
        self._using: dict[str, set[str]] = defaultdict(set)
        for id_, test in self.tests.items():
            for module, lines in test["lines"].items():
                self._using[module].add(id_)
                for line in lines:
                    self._running[module, line].add(id_)

    def keep(self) -> None:
        """For the next run."""
        BASELINE.write_text(json.dumps(self._facts | {"tests": self.tests, "killed": self.killed}))

    def tests_for(self, mutant: Mutant) -> list[str]:
        """The tests that run what is changed, or the module's where importing that runs it.

        Of these, first those whose file imports the module; then the quickest, but of a slow function first
        one set of its parameters: the others hardly see more.
        """
        found = set[str]()
        importing = {id_ for id_ in self.tests if mutant.module in self._imports[_file_of(id_)]}
        if mutant.function:
            found = found.union(*(self._running[mutant.module, line] for line in mutant.lines))
        if not found:
            found = self._using[mutant.module] | importing
        sets = Counter[str]()
        order = {}
        for id_ in sorted(found, key=self.seconds.__getitem__):
            function, seconds = id_.partition("[")[0], self.seconds[id_]
            sets[function] += 1
            order[id_] = id_ not in importing, sets[function] if seconds > SLOW else 0, seconds
        chosen, total = [], 0.0
        for id_ in sorted(order, key=order.__getitem__):
            total += self.seconds[id_]
            if chosen and total > MOST_SECONDS:
                break
            chosen.append(id_)
        return chosen


def _imports_of(text: str) -> set[str]:
    """The modules of the package that a file imports, also as names of their folder."""
    found = set[str]()
    for module, names in IMPORT.findall(text):
        found |= {module, *(f"{module}.{name.strip()}" for name in names.split(","))}
    return found


def _file_of(test: str) -> str:
    return test.partition("::")[0]


def _digest(files: Iterable[Path]) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(files))).hexdigest()


def _recorded(files: list[str]) -> dict[str, Any]:
    """Run tests without a change."""
    with tempfile.TemporaryDirectory() as directory:
        facts = Path(directory, "facts.json")

        def record() -> int:
            recorder = Recorder()
            code = pytest.main([*_OPTIONS, *(f"{ROOT}/{file}" for file in files)], plugins=[recorder])
            facts.write_text(json.dumps(recorder.facts()))
            return code

        _, status = os.waitpid(_fork(record, directory, quiet=False), 0)
        if os.waitstatus_to_exitcode(status) not in (0, 1):
            sys.exit("The tests do not run without a change")
        return json.loads(facts.read_text())


def outcomes(
    mutants: Iterable[Mutant], baseline: Baseline, processes: int
) -> Iterator[tuple[Mutant, str | None]]:
    """Try mutants, and say which test killed each, or None."""
    running = dict[int, tuple[Mutant, str]]()
    for mutant in mutants:
        if killer := baseline.killed.get(mutant.name):
            yield mutant, killer
        elif tests := baseline.tests_for(mutant):
            directory = tempfile.mkdtemp()

            def run(mutant: Mutant = mutant, tests: list[str] = tests, directory: str = directory) -> int:
                sys.meta_path.insert(0, Changed(mutant))
                # Hardly any change outlives the first few; to collect the others takes seconds.
                parts = tests[:FIRST_TESTS], tests[FIRST_TESTS:]
                note = Path(directory, NOTE)
                return any(_run(part, Chosen(part, baseline.seconds, note)) for part in parts if part)

            # Where the module cannot even be imported, that is noticed before any test.
            Path(directory, NOTE).write_text(tests[0])
            running[_fork(run, directory)] = mutant, directory
        else:
            yield mutant, None
        if len(running) == processes:
            yield _ended(running)
    while running:
        yield _ended(running)


_OPTIONS = (
    f"--rootdir={ROOT}", f"--config-file={ROOT}/pyproject.toml", "--quiet", "--tb=no", "--show-capture=no",
    "-p", "no:cacheprovider", "-p", "no:faulthandler", "-W", "ignore", "--hypothesis-seed=0",
)  # fmt: skip


def _run(tests: list[str], plugin: Chosen) -> bool:
    """Run tests up to the first that fails; whether one does.

    In a process of their own, since a run of pytest removes the directories that the next one would use.
    """
    if process := os.fork():
        return os.waitpid(process, 0)[1] != 0
    code = 3
    try:
        files = sorted({f"{ROOT}/{_file_of(id_)}" for id_ in tests})
        code = pytest.main([*_OPTIONS, "--exitfirst", *files], plugins=[plugin])
    finally:
        os._exit(code)


def _fork(run: Callable[[], int], directory: str, *, quiet: bool = True) -> int:
    """Run in a process of its own group, whose files and signals reach nobody else. Its id."""
    sys.stdout.flush()
    if process := os.fork():
        return process
    code = 3
    try:
        os.setsid()
        if quiet:
            null = os.open(os.devnull, os.O_RDWR)
            for stream in range(3):
                os.dup2(null, stream)
            resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
        # A path that a change makes relative is not to lie in the repository.
        os.chdir(directory)
        os.environ |= {"TMPDIR": directory, "HYPOTHESIS_STORAGE_DIRECTORY": directory}
        tempfile.tempdir = None
        code = run()
    finally:
        # Without the rest of the parent's stack, and not waiting for threads.
        sys.stdout.flush()
        os._exit(code)


def _ended(running: dict[int, tuple[Mutant, str]]) -> tuple[Mutant, str | None]:
    """Wait for a process. Of what tests do not survive, an error and a timeout count as well."""
    process, status = os.wait()
    while process not in running:
        process, status = os.wait()
    with suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)
    mutant, directory = running.pop(process)
    killer = Path(directory, NOTE).read_text() if os.waitstatus_to_exitcode(status) else None
    shutil.rmtree(directory, ignore_errors=True)
    return mutant, killer
