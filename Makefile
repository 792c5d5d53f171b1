# Each target sets itself up: needs only python3 (3.11 or newer, with venv) and make.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.homeflex-ready
ARGS   ?=

# What is compiled once need not be at each start: a home in a test starts a third sooner.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check test-long bench mutants schemas lock

demo: $(STAMP)
	@$(BIN)/homeflex demo $(ARGS)

test: $(STAMP)
	@$(BIN)/python -m pytest --numprocesses 4 $(ARGS)

test-long: $(STAMP)
	@$(BIN)/python -m pytest -m long --timeout 3600 $(ARGS)

check: $(STAMP)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

bench: $(STAMP)
	@$(BIN)/python -m tests.bench $(ARGS)

mutants: $(STAMP)
	@$(BIN)/python -m tests.mutants $(ARGS)

schemas: $(STAMP)
	@$(BIN)/python -m gateway.contract

$(STAMP): pyproject.toml requirements.lock Makefile
	@$(PYTHON) -c 'import sys; sys.exit("homeflex needs Python 3.11 or newer; this is %s. Set PYTHON=python3.11 or newer." % sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "python3 has no venv here: install it (Debian, Raspberry Pi OS: apt install python3-venv)"; exit 1; }
	@test -x $(BIN)/python && $(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != tuple(map(int, sys.argv[1].split("."))))' "$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')" || { rm -rf $(VENV); $(PYTHON) -m venv $(VENV); }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	@VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes requirements.lock
	@VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# Run by hand after changing the dependencies; uv.lock names hosts and is not committed.
lock:
	@$(BIN)/uv lock --quiet
	@$(BIN)/uv export --quiet --frozen --no-emit-project --all-extras --all-groups --no-header -o requirements.lock
