# make demo   run the example DAGs and see what they do
# make airflow   the web UI with both connections and the example DAGs, until Ctrl-C
# make test   ruff, mypy and the tests, on the newest Airflow
# make test-matrix   the tests on every Airflow that is supported; writes the table in README.md
# make test-lowest   the tests that start no whole Airflow, on the lowest versions that pyproject.toml lets in
# make docs   build the documentation into site/
# make benchmark   measure landing beside what else there is; a quarter of an hour
# make reliability   let the services' wire and the storage fail in every way; writes tables in docs/reliability.md
# make soak   land, wait and run many tasks at once while requests fail, for an hour and a half; PARTS=waits runs one
#   part; writes tables in docs/reliability.md
# make mutation   change one thing at a time in api/ and storage/, and see whether a test notices, for half an hour
#   and the minutes that the tests take without a change; MINUTES=5 for less, MODULES="api.retry api.feed" for these
#   alone; writes a table in docs/reliability.md
# make cluster-demo   a backfill on Celery workers, one of which is killed; needs redis-server and postgresql, which
#   it installs on Debian as root; some minutes
# All need Python 3.11 or newer and nothing else but what is said; what they install goes into .venv, and into
# .venv-2.11, .venv-3.0 and .venv-lowest, of which the first needs Python 3.11 or 3.12 and the last 3.11.
# VERSIONS="2.11 3.0" leaves out what `make test` has run.

PYTHON ?= python3
BIN := .venv/bin
PINS := constraints/airflow-3.3.txt
VERSIONS ?= 2.11 3.0 3.3
MINUTES ?= 30
OLDER := $(filter-out 3.3,$(VERSIONS))
AZURITE := tests/storage/azurite/package.json tests/storage/azurite/package-lock.json
EXTRAS := s3,azure,parquet,zstd,report,sandbox
LOWEST := $(addprefix tests/,api contract hooks operators report sandbox sensors storage tasks triggers)

.PHONY: demo airflow test test-matrix test-lowest docs benchmark reliability soak mutation cluster-demo clean

demo: .venv/ready
	$(BIN)/python scripts/demo.py

airflow: .venv/ready
	$(BIN)/python scripts/web.py

test: .venv/ready .venv/azurite/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests/typing/every_class.py
	$(BIN)/python -m pytest -n 2 --junitxml=.venv/results.xml

test-matrix: .venv/azurite/ready $(OLDER:%=.venv-%/ready)
	$(BIN)/python scripts/matrix.py $(VERSIONS)

test-lowest: .venv/azurite/ready .venv-lowest/ready
	.venv-lowest/bin/python -m pytest -n 2 -p no:cacheprovider --quiet $(LOWEST)

docs: .venv/ready
	$(BIN)/mkdocs build --quiet --strict

benchmark: .venv/ready
	$(BIN)/python benchmarks/run.py

reliability: .venv/ready .venv/azurite/ready
	$(BIN)/python scripts/reliability.py

soak: .venv/ready
	PYTHONPATH=scripts $(BIN)/python -m soak $(PARTS)

mutation: .venv/ready .venv/azurite/ready
	PYTHONPATH=scripts $(BIN)/python -m mutation --minutes $(MINUTES) $(MODULES)

cluster-demo: .venv/ready
	$(BIN)/python scripts/cluster.py

.venv/ready: pyproject.toml $(PINS)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint $(PINS) uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint $(PINS) --editable '.[$(EXTRAS),openlineage]' --group dev --group lint --group cluster --group docs --group mutation
	touch $@

.venv-%/ready: constraints/airflow-%.txt pyproject.toml .venv/ready
	$(BIN)/uv venv --quiet --clear --python $(PYTHON) .venv-$*
	$(BIN)/uv pip install --quiet --python .venv-$*/bin/python --constraint $< --editable '.[$(EXTRAS)]' --group dev
	ln -s ../.venv/azurite .venv-$*/azurite
	touch $@

.venv-lowest/ready: EXTRAS := $(EXTRAS),openlineage

# Stands in for Azure in the tests.
.venv/azurite/ready: .venv/ready $(AZURITE)
	mkdir -p .venv/azurite
	cp $(AZURITE) .venv/azurite
	$(BIN)/npm ci --prefix .venv/azurite --ignore-scripts --no-audit --no-fund --silent
	touch $@

clean:
	rm -rf .venv .venv-* .airflow dist site
