# Every target sets up what it needs: a virtual environment in .venv, made anew when pyproject.toml changes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: run test test-textual-oldest lint check test-kernel bench screenshots clean

run: $(READY)
	@if [ -n "$$(ls /sys/kernel/iommu_groups 2>/dev/null)" ]; then $(BIN)/iommutui; else $(BIN)/iommutui --demo; fi

test: $(READY)
	$(BIN)/python -m pytest -n auto

# The screen's tests with the oldest Textual that pyproject.toml allows; 'test' has the newest.
test-textual-oldest: $(VENV)/textual-oldest
	PYTHONPATH=$(VENV)/textual-oldest $(BIN)/python -m pytest -n auto tests/tui

$(VENV)/textual-oldest: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --retries 10 --no-deps --upgrade \
		--target $@ textual==8.0.0
	@touch $@

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy packaging/build_hook.py
	$(BIN)/lint-imports

check: lint test

test-kernel: $(READY)
	$(BIN)/python -m tests.kernel test

bench: $(READY)
	$(BIN)/python -m tests.bench

screenshots: $(READY)
	$(BIN)/python -m screenshots.make

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "iommutui needs Python 3.11 or later; name one with 'make PYTHON=python3.12 ...'."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "Python's venv module is missing; on Debian and Ubuntu 'apt install python3-venv' brings it."; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --retries 10 -e '.[dev]'
	@$(BIN)/python -m compileall -q iommutui
	@touch $(READY)

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
