# Every target works on a fresh machine with Python 3.11+, make and the package registries.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?=
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
BENCH := .venv-bench
BENCH_READY := $(BENCH)/.bench
FRAMEWORKS := .venv-frameworks
FRAMEWORKS_READY := $(FRAMEWORKS)/.frameworks
ARGS ?=

.PHONY: help demo up test check format docs assets bench frameworks screenshots lock clean
help: ## Show the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Upshot needs Python 3.11 or newer: set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Creating $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

$(RUNTIME): requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing the pinned packages (about a minute the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

$(DEV): requirements-dev.lock $(RUNTIME)
	@echo "Installing the pinned development packages ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

demo: $(RUNTIME) ## Score 2,771 real agent pull requests on real Kafka and ClickHouse (DATA=FILE for your own)
	@$(BIN)/upshot demo $(if $(DATA),--data "$(DATA)")

up: $(RUNTIME) ## Run Kafka, ClickHouse, the worker and the web page until Ctrl-C
	@$(BIN)/upshot up

test: $(DEV) ## Run every test on real Kafka and ClickHouse
	@$(BIN)/python -m pytest

check: $(DEV) ## Format, lint, types, docs, prose, commits
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m tools.reference --check docs/reference
	@$(BIN)/python -m tools.reference.json_schema --check schemas/json_schema
	@$(BIN)/python -m tools.reference.commands --check docs/commands.md
	@$(BIN)/python -m tools.reference.typescript --check clients/typescript/events.d.ts
	@$(BIN)/python -m tools.vendored
	@$(BIN)/python -m tools.prose --check
	@$(BIN)/python -m tools.subjects

format: $(DEV) ## Format and sort imports
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(DEV) ## Write the generated reference pages and JSON Schemas
	@$(BIN)/python -m tools.reference docs/reference
	@$(BIN)/python -m tools.reference.json_schema schemas/json_schema
	@$(BIN)/python -m tools.reference.commands docs/commands.md
	@$(BIN)/python -m tools.reference.typescript clients/typescript/events.d.ts

assets: ## Build the vendored scripts of the web page from the npm registry (needs node)
	@cd web-assets && npm ci --ignore-scripts --no-audit --no-fund && node build.mjs

# An environment of its own: the peers need older versions of what we use.
$(BENCH_READY): requirements-bench.lock pyproject.toml
	@echo "Installing the pinned peers ..."
	@$(PYTHON) -m venv $(BENCH)
	@$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.lock
	@$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

bench: $(BENCH_READY) ## Measure the join against its peers (ARGS="--rounds 1 --only upshot,confluent")
	@$(BENCH)/bin/python benchmarks/join $(ARGS)

$(FRAMEWORKS_READY): requirements-frameworks.lock pyproject.toml
	@echo "Installing the pinned frameworks ..."
	@$(PYTHON) -m venv $(FRAMEWORKS)
	@$(FRAMEWORKS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-frameworks.lock
	@$(FRAMEWORKS)/bin/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

frameworks: $(FRAMEWORKS_READY) ## Run agents' frameworks against a model server and compare the tokens (ARGS="--page docs/frameworks.md")
	@$(FRAMEWORKS)/bin/python -m tools.frameworks $(ARGS)

screenshots: $(RUNTIME) ## Take the pictures of the docs from a running stack (needs Chromium)
	@$(BIN)/python -m tools.screenshots

lock: ## Resolve the lock files anew (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --extra local --group build pyproject.toml --output-file requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --group dev --group build --extra local pyproject.toml --output-file requirements-dev.lock
	uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --group bench --group build --extra local pyproject.toml --output-file requirements-bench.lock
	uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --group frameworks --group build --extra prices pyproject.toml --output-file requirements-frameworks.lock

clean: ## Remove the environment and the local data
	rm -rf $(VENV) $(BENCH) $(FRAMEWORKS) .upshot build dist *.egg-info
