# Two commands: `make demo` and `make test`. Each makes its own environment in .venv; repeated, they start at once.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --no-compile -c constraints.txt
LOCKS := pyproject.toml constraints.txt

.PHONY: demo test check clean

demo: $(VENV)/.demo
	$(BIN)/bench run demo

test: check
	$(BIN)/python -m pytest -n auto --cov --cov-report=term

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache build *.egg-info

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "PerPass needs Python 3.11 or newer; set PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(LOCKS) | $(BIN)/python
	$(PIP) -e '.[local]'
	@touch $@

$(VENV)/.test: $(LOCKS) | $(BIN)/python
	$(PIP) -e '.[local,tasks,energy,dev]'
	@touch $@ $(VENV)/.demo
