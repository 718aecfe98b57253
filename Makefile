# `make demo` shows a real sweep, `make test` runs the tests; both set up what they need in .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
LANGUAGE_SERVER := 1.25.0
DEMO := runs/digits-mlp
SIDE_BY_SIDE := -n 3 --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-all check docs reference format clean

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) --editable '.[dev]'
	@touch $@

$(VENV)/.installed-slow: $(VENV)/.installed-dev
	$(PIP) --editable '.[dev,slow]'
	npm install --silent --no-audit --no-fund --prefix $(VENV)/node yaml-language-server@$(LANGUAGE_SERVER)
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(PIP) --editable '.[docs]'
	@touch $@

demo: $(VENV)/.installed  ## a sweep of 32 trials on scikit-learn's digits, ranked, and its best trials confirmed
	@if [ -e $(DEMO)/study.db ]; then $(BIN)/tunecli resume $(DEMO); else $(BIN)/tunecli search configs/digits.yaml; fi
	@$(BIN)/tunecli confirm $(DEMO)

test: $(VENV)/.installed-dev  ## the ordinary tests
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

test-all: $(VENV)/.installed-slow  ## the slow ones too, on new random examples
	$(BIN)/python -m pytest -m 'slow or not slow' --hypothesis-profile explore

check: $(VENV)/.installed-dev  ## what a contributor runs: format, lint, types, layers, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

docs: $(VENV)/.installed-docs  ## the site of the documentation, in build/site; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

reference: $(VENV)/.installed-dev  ## all that is generated: the schema, the table of the completion, and pages of docs/reference
	$(BIN)/tunecli schema > configs/tunecli.schema.json
	$(BIN)/python -m tunecli.cli.describe
	$(BIN)/python -m dev.reference --json

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build *.egg-info
