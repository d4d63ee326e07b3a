# Needs python3 >= 3.11, make and a package index. Everything else is set up by scripts/setup.py, which does nothing
# when nothing changed.

# The distribution's Python, where it will do: it is built with profile-guided optimisation, which one's own build
# (pyenv's, say) mostly is not, and takes a seventh off the server's CPU. Any other: make run PYTHON=python3.13
PYTHON ?= $(shell /usr/bin/python3 -c "import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))" \
	2>/dev/null && echo /usr/bin/python3 || echo python3)
PORT ?= 8000
DATA ?= ./data
ONLY ?=
SEEDS ?= 10000
SETUP := $(PYTHON) scripts/setup.py
BIN := .venv/bin

# the set-up may put its own node there
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup run test lint format bench screens soak lock

help: ## say what can be made
	@$(PYTHON) scripts/setup.py help Makefile

setup: ## set up everything for working on wangge (venv, locked packages, Node packages, pages, Chromium)
	@$(SETUP) all

run: ## set up what is needed, prepare the demo district in DATA (./data) and serve it on PORT (8000)
	@$(SETUP) run
	@exec $(BIN)/wangge demo --port $(PORT) --data $(DATA)

test: ## set up what is needed and run every check and test
	@$(SETUP) all
	@$(MAKE) --no-print-directory lint
	cd web && npm run --silent check
	$(BIN)/python -m pytest -n 2 --dist loadgroup

lint: ## style, types and import contracts of the Python code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: ## bring the Python code into the common form
	$(BIN)/ruff check --fix-only --exit-zero .
	$(BIN)/ruff format .

bench: ## measure, each figure beside its raw limit (ONLY=name for one); writes bench/results.json
	@$(SETUP) all
	$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY))

screens: ## take the pictures of the pages again (docs/screens)
	@$(SETUP) all
	WANGGE_SCREENS=1 $(BIN)/python -m pytest tests/browser

soak: ## the simulation over SEEDS (10000) histories or for MINUTES, many deaths, the demo's months, the suites on PostgreSQL
	@$(SETUP) all
	$(if $(MINUTES),$(BIN)/python -m tests.simulation.soak $(MINUTES))
	WANGGE_SEEDS=$(if $(MINUTES),0,$(SEEDS)) WANGGE_DEATHS=1000 WANGGE_KILLS=100 WANGGE_DEMOS=13 \
		$(BIN)/python -m pytest tests/simulation tests/faults tests/unit/demo -n 2
	WANGGE_STORE=postgresql $(BIN)/python -m pytest tests/unit/sync tests/http -n 2

lock: ## resolve the dependencies of pyproject.toml again and write the lock files
	@$(SETUP) lock
