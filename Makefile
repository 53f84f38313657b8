# Seawall's everyday commands. Needs Python 3.11+ and make; everything else comes from the locks.
# `make` alone lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.seawall-installed
CONFIG ?= examples/research-team/seawall.yaml
QUESTION ?= How does Seawall keep a model key away from an agent?
LIBRARY ?=
export LIBRARY QUESTION

.DEFAULT_GOAL := help
.PHONY: help run test check format docs bench lock clean

help:  ## list these commands
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 16

run: $(STAMP)  ## ask the example team a question, offline (QUESTION="…" LIBRARY=DIR)
	@$(BIN)/seawall dev --offline -f $(CONFIG) $${LIBRARY:+--library "$$LIBRARY"} "$$QUESTION"

test: $(STAMP)  ## run the tests (SEAWALL_NO_SKIP=1 turns skips into failures)
	@SEAWALL_NO_SKIP=$(SEAWALL_NO_SKIP) $(BIN)/python -m pytest $(ARGS)

check: $(STAMP)  ## formatting, lint, types, house rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest tests/house

format: $(STAMP)  ## rewrite the code in the house's format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(STAMP)  ## write the reference pages that come from the code
	@$(BIN)/python docs/generate.py

bench: $(STAMP)  ## measure, and compare with the goals
	@$(BIN)/python -m tests.bench $(ARGS)

# No index, no host: `--no-emit-index-url` and friends keep this machine's configuration out.
LOCKED := --universal --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links --python-version 3.11

IMAGES := keeper runtime bridge memory weights models gateway

lock: $(BIN)/uv  ## resolve the dependencies anew into the two locks
	@$(BIN)/uv pip compile $(LOCKED) --quiet --all-extras --group dev pyproject.toml -o requirements.lock
	@for image in $(IMAGES); do \
		$(BIN)/uv pip compile $(LOCKED) --quiet --group image-$$image -c requirements.lock \
			$$(ls src/seawall/render/locks/$$image.without 2>/dev/null | sed 's/^/--excludes /') \
			-o src/seawall/render/locks/$$image.lock || exit 1; done
	@sed -n 's/^\(uv==[^ ]*\).*/\1/p' requirements-uv.lock | \
		$(BIN)/uv pip compile $(LOCKED) --quiet - -o requirements-uv.lock
	@echo "locked; see git diff"

clean:  ## remove what these commands made
	@rm -rf $(VENV) .seawall examples/*/.seawall .mypy_cache .ruff_cache .hypothesis dist
	@find src tests examples -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment, in three steps: an empty one, the pinned uv, and with it all that is locked.
$(BIN)/uv: requirements-uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "make: $(PYTHON) is older than 3.11, or missing. Name a newer one: make PYTHON=python3.12 …" >&2; exit 1; }
	@echo "[1/3] an empty environment in $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); \
		echo "make: python3 -m venv failed. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "[2/3] uv, by hash"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@touch $@

$(STAMP): $(BIN)/uv requirements.lock pyproject.toml
	@echo "[3/3] everything in requirements.lock, by hash (about 300 MB the first time)"
	@$(BIN)/uv pip sync --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/uv pip install --python $(BIN)/python --quiet --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q src
	@touch $@
