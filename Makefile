# make demo   run the example DAGs and see what they do
# make test   everything that CI runs before it builds the wheel
# make benchmark   measure landing beside what else there is; a quarter of an hour
# All need Python 3.11 or newer and nothing else; what they install goes into .venv.

PYTHON ?= python3
BIN := .venv/bin
PINS := constraints/airflow-3.3.txt
AZURITE := tests/storage/azurite/package.json tests/storage/azurite/package-lock.json

.PHONY: demo test benchmark clean

demo: .venv/ready
	$(BIN)/python scripts/demo.py

test: .venv/ready .venv/azurite/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

benchmark: .venv/ready
	$(BIN)/python benchmarks/run.py

.venv/ready: pyproject.toml $(PINS)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint $(PINS) uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint $(PINS) --editable '.[s3,azure,parquet,zstd,sandbox]' --group dev
	touch $@

# Stands in for Azure in the tests.
.venv/azurite/ready: .venv/ready $(AZURITE)
	mkdir -p .venv/azurite
	cp $(AZURITE) .venv/azurite
	$(BIN)/npm ci --prefix .venv/azurite --ignore-scripts --no-audit --no-fund --silent
	touch $@

clean:
	rm -rf .venv .venv-benchmarks .airflow dist
