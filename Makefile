# make run    a virtual environment, the pinned dependencies, the quickstart
# make test   what the tests need, and the tests
# make check  the linters, the type checker, the import contracts
# make docs   the documentation site, in docs/_build/html

PYTHON ?= python3
BIN := .venv/bin
STAMPS := .venv/stamps
PYTHON_AGE = $(shell $(PYTHON) -c 'import sys; print("new" if sys.version_info >= (3, 11) else "old")')
PINNED := setup.cfg pyproject.toml constraints.txt
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DELETE_ON_ERROR:
.PHONY: run test check docs clean

run: $(STAMPS)/run
	$(BIN)/benchmark run quickstart

test: $(STAMPS)/test
	$(BIN)/python -m pytest

check: $(STAMPS)/development
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(STAMPS)/docs
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

$(STAMPS)/environment:
	$(if $(filter new,$(PYTHON_AGE)),,$(error benchmark needs Python 3.11 or newer, which $(PYTHON) is not; name another, as in make PYTHON=python3.12))
	$(PYTHON) -m venv --clear .venv
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/run: $(STAMPS)/environment $(PINNED)
	$(INSTALL) --editable .
	@touch $@

$(STAMPS)/test $(STAMPS)/development $(STAMPS)/docs: $(STAMPS)/%: $(STAMPS)/run
	$(INSTALL) --editable '.[$*]'
	@touch $@

clean:
	rm -rf .venv build dist docs/_build *.egg-info .mypy_cache .pytest_cache .ruff_cache
