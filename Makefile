.DEFAULT_GOAL := help
PYTHON ?= .venv/bin/python

help: ## Show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1\t/' | expand -t 24

setup: ## Create the environment .venv for development
	python3 -m venv .venv && .venv/bin/pip install -q -e '.[test,lint]'

test: ## Run the tests
	$(PYTHON) -m pytest -n auto

lint: ## Check style and types
	$(PYTHON) -m ruff check . && $(PYTHON) -m ruff format --check . && $(PYTHON) -m mypy

format: ## Format the code
	$(PYTHON) -m ruff format . && $(PYTHON) -m ruff check --fix .

golden: ## Regenerate the golden files and the README; read the diff before you commit it
	$(PYTHON) -m pytest -q --overwrite tests

docs-tables: ## Update the generated tables in docs/; read the diff before you commit it
	$(PYTHON) docs/generate.py

docs: ## Build docs/ as a site in site/
	$(PYTHON) -m pip install -q -e '.[docs]' && $(PYTHON) -m mkdocs build --strict -q

lock: ## Lock the figures of the built-in networks; read the diff before you commit it
	$(PYTHON) -m archcalc lock specs/ --compact -o tests/shipped.lock

reports: ## Update reports/; read the diff before you commit it
	$(PYTHON) -m archcalc reports

bench: ## Check speed and memory against their limits
	$(PYTHON) benchmarks/run.py

ci: ## Run everything that a change must pass
	.ci/run

.PHONY: help setup test lint format golden docs-tables docs lock reports bench ci
