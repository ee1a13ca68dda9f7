# make demo            run the example DAGs and see what they do
# make airflow         the web UI with both connections and the example DAGs, until Ctrl-C
# make test            what a change needs: linters, types and the quick tests, in five minutes
# make test-marked     the other tests: a whole Airflow, browser, storage servers, kills, documentation
# make test-all        both, so every test, on the newest Airflow
# make test-matrix     what depends on versions: older Airflow, the lowest versions, newer Python; writes a table in
#                      docs/versions.md. VERSIONS="2.11 python3.13" runs these alone, VERSIONS=prerelease the next Airflow
# make engines         read landings with Spark, where Java 17 is there
# make environments    install what test-marked and test-matrix need; with --jobs, all at the same time
# make durations       write how long each part of the tests took in its last run into docs/test-durations.md
# make docs            build the documentation into site/
# make docs-serve      show the documentation in a browser, and build what changes
# make benchmark       measure landing, waits and reports beside other tools, in ten minutes; writes docs/benchmarks.md
# make reliability     let the services and the storage fail in every way; writes tables in docs/reliability.md
# make soak            land, wait and run many tasks at once while requests fail, for 2.5 hours; PARTS=waits runs
#                      one part; writes tables in docs/evidence.md
# make mutation        change the code of api/ and storage/ and see whether a test notices, for half an hour; MINUTES=5
#                      for less, MODULES="api.http.retry api.waiting.finished_events" for these alone; writes a table in docs/evidence.md
# make cluster-demo    a backfill on Celery workers, one of which is killed; installs redis-server and postgresql on
#                      Debian as root
# make clean           remove the environments and what was built
#
# All need Python 3.11 or newer and make. What they install goes into .venv and, for a version, .venv-<version>.

PYTHON ?= python3
BIN := .venv/bin
PINS := constraints/airflow-3.3.txt
VERSIONS ?= 2.11 3.0 lowest python3.12 python3.13
MINUTES ?= 30
AZURITE := tests/storage/azurite/package.json tests/storage/azurite/package-lock.json
EXTRAS := s3,azure,parquet,zstd,report,openlineage,sandbox
# Of the newest Airflow: the older ones hold SQLAlchemy 1.4, with which pyiceberg has no SQL catalog.
NEWEST := $(EXTRAS),iceberg
MARKED := airflow or browser or clients or dags or docs or faults or kill or slow or stores
JAVA := $(if $(JAVA_HOME),$(JAVA_HOME)/bin/)java
PYTEST := $(BIN)/python -m pytest
# Each process of a test would compile Airflow anew.
export PYTHONDONTWRITEBYTECODE :=

# The Python of an environment: that of its name, also where pyenv keeps it, else $(PYTHON). Empty where there is none.
interpreter = $(shell for found in $(if $(filter python%,$(1)),$(1) "$$(pyenv root 2>/dev/null)"/versions/$(1:python%=%).*/bin/python,$(PYTHON)); do \
	"$$found" -c 'import venv' 2>/dev/null && echo "$$found" && break; done)

MATRIX := $(foreach version,$(VERSIONS),$(if $(call interpreter,$(version)),.venv-$(version)/ready))

# An environment whose Python is gone is made anew.
$(foreach made,$(wildcard .venv*/ready),$(if $(shell $(dir $(made))bin/python -c 'print(1)' 2>&1 | grep -x 1),,$(shell rm -f $(made))))

.PHONY: help demo airflow test test-marked test-all test-matrix engines environments durations docs docs-serve benchmark reliability soak mutation cluster-demo clean

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

demo: .venv/ready
	$(BIN)/python scripts/demo.py

airflow: .venv/ready
	$(BIN)/python scripts/web.py

test: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy --num-workers 2
	$(PYTEST) -n 2 --junitxml=.venv/quick.xml

test-all: test test-marked

# Three processes on two cores, since a whole Airflow and a fault in real time wait for much of their time.
test-marked: .venv/azurite/ready .venv-clients/ready
	$(PYTEST) -n 3 -m "$(MARKED)" --junitxml=.venv/marked.xml

test-matrix: .venv/azurite/ready $(MATRIX)
	$(BIN)/python scripts/matrix.py $(VERSIONS)

engines: .venv/ready
	@$(JAVA) -version 2>&1 | grep -q 'version "17' || { \
		echo "Skipped: Spark needs Java 17, and $(JAVA) is not. JAVA_HOME=/path/to/java17 names another."; exit 0; }; \
	$(MAKE) --no-print-directory .venv-engines/ready && $(PYTEST) -m engines tests/docs

environments: .venv/azurite/ready .venv-clients/ready $(MATRIX)

durations: .venv/ready
	$(BIN)/python scripts/durations.py

# MkDocs would advertise its successors.
docs docs-serve: export NO_MKDOCS_2_WARNING := 1
docs: .venv/ready
	$(BIN)/mkdocs build --quiet --strict

docs-serve: .venv/ready
	$(BIN)/mkdocs serve

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

# Shown when an installation fails, instead of the page that the installer prints.
install = ( $(1) ) >$(@D)/install.log 2>&1 || { \
	echo "The packages of $(@D) could not be installed; is the network there? $(@D)/install.log says what failed." >&2; exit 1; }

.venv/ready: pyproject.toml $(PINS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 or newer is needed, and $(PYTHON) is not; PYTHON=/path/to/python names another." >&2; exit 1; }
	@$(PYTHON) -m venv --clear .venv >/dev/null || { \
		echo "$(PYTHON) cannot make an environment; on Debian: apt-get install python3-venv." >&2; exit 1; }
	@echo "Installing what the tests need into .venv, about a minute."
	@$(call install,$(BIN)/python -m pip install --constraint $(PINS) uv && \
		$(BIN)/uv pip install --compile-bytecode --python $(BIN)/python --constraint $(PINS) --editable '.[$(NEWEST)]' \
		--group dev --group lint --group cluster --group docs --group mutation)
	@touch $@

# Its tests compile what they import, which is a small part of all.
.venv-%/ready: pyproject.toml constraints/*.txt .venv/ready
	$(BIN)/uv venv --quiet --clear --python $(call interpreter,$*) .venv-$*
	@$(call install,$(BIN)/uv pip install --python .venv-$*/bin/python --constraint $(call pins,$*) --editable '.[$(if $(filter python%,$*),$(NEWEST),$(EXTRAS))]' --group dev)
	@ln -s ../.venv/azurite .venv-$*/azurite
	@touch $@

pins = $(if $(filter python%,$(1)),$(PINS),constraints/airflow-$(1).txt)

# The SDKs of the services, which the tests let ask the sandbox.
.venv-clients/ready: constraints/clients.txt .venv/ready
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-clients
	@$(call install,$(BIN)/uv pip install --compile-bytecode --python .venv-clients/bin/python --requirement constraints/clients.txt)
	@touch $@

.venv-engines/ready: constraints/engines.txt .venv/ready
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-engines
	@$(call install,$(BIN)/uv pip install --python .venv-engines/bin/python --requirement constraints/engines.txt)
	@touch $@

# Stands in for Azure in the tests.
.venv/azurite/ready: .venv/ready $(AZURITE)
	@mkdir -p .venv/azurite
	@cp $(AZURITE) .venv/azurite
	@$(call install,$(BIN)/npm ci --prefix .venv/azurite --ignore-scripts --no-audit --no-fund)
	@touch $@

clean:
	rm -rf .venv .venv-* .airflow .import_linter_cache dist site
