# make run    a virtual environment, the pinned dependencies, the quickstart
# make test   what the tests need, and the tests: of their long sweeps, the commit's sample
# make test-all  the tests, and of their sweeps everything
# make coverage  the tests, and what of the code they execute, branch by branch
# make install   what all of these need, at once
# make check  the linters, the type checker, the import contracts
# make docs   the documentation site, in docs/_build/html
# make perf   what the framework costs, and what others cost, in docs/performance.md
# make perf-scale  what runs of many trials cost, in docs/scaling.md
# make calibration  how often intervals cover the truth, and gates and looks err, by simulation
# make perf-gpu         what a GPU makes of it, without a network; IMAGES=archive or folder,
#                       OPTIONS='--repeats 3' and the like
# make perf-gpu-wheels  what that needs beside PyTorch, to be carried to the GPU's machine

PYTHON ?= python3
BIN := .venv/bin
STAMPS := .venv/stamps
PERF := perf/.venv
GPU := perf/.gpu-packages
WHEELS := perf/wheels
GPU_PYTHON := 3.12
PYTHON_AGE = $(shell $(PYTHON) -c 'import sys; print("new" if sys.version_info >= (3, 11) else "old")')
PINNED := setup.cfg pyproject.toml constraints.txt
INSTALL_INTO = $(1)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
INSTALL := $(call INSTALL_INTO,.venv)

.DELETE_ON_ERROR:
.PHONY: run test test-all coverage install check docs perf perf-scale calibration perf-gpu perf-gpu-wheels clean

run: $(STAMPS)/run
	$(BIN)/benchmark run quickstart

# Divided among three processes: two cores, and some tests wait. Who has run out of tests takes
# some of another's, from the end, so that a file's tests mostly stay together with what they share.
PYTEST = $(BIN)/python -m pytest --numprocesses 3 --dist worksteal

test: $(STAMPS)/test
	$(PYTEST)

test-all: $(STAMPS)/test
	SAMPLE=all $(PYTEST)

# Of its own, because measuring makes the tests a third slower.
coverage: $(STAMPS)/test
	$(PYTEST) --cov --cov-report=term

# For whoever wants it all, as .ci/run does: pip looks at what is needed once instead of four times.
install: $(STAMPS)/all

check: $(STAMPS)/development
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(STAMPS)/docs
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

# Other frameworks are installed beside the project, never into its own environment.
perf: $(PERF)/stamps/peers
	$(PERF)/bin/python -m perf.compare
	$(PERF)/bin/python -m perf.choices
	$(PERF)/bin/python -m perf.neighbours

perf-scale: $(STAMPS)/test
	$(BIN)/python -m perf.scale
	$(BIN)/python -m perf.overhead

calibration: $(STAMPS)/run
	$(BIN)/python -m perf.calibration
	$(BIN)/python -m perf.gate_errors
	$(BIN)/python -m perf.look_errors

# PyTorch and what came with it are that machine's own, which may have them in a virtual environment:
# one made from that would not see them, so a folder stands before them on the path. The checkout comes
# after it, for its benchmark/ would hide the wheel; perf is in no wheel.
perf-gpu:
	rm -rf $(GPU)
	$(PYTHON) -m pip install --quiet --no-index --no-deps --target $(GPU) $(WHEELS)/*.whl
	PYTHONSAFEPATH=1 PYTHONPATH="$(CURDIR)/$(GPU):$(CURDIR)" $(PYTHON) -m perf.gpu --out perf/gpu-results \
		$(if $(IMAGES),--images $(IMAGES)) $(OPTIONS)

# NumPy, Pillow and SciPy are large and built for one another, so they are that machine's as well.
perf-gpu-wheels: $(STAMPS)/environment
	rm -rf $(WHEELS) build
	$(BIN)/python -m pip wheel --quiet --no-deps -w $(WHEELS) .
	$(BIN)/python -m pip download --quiet --no-deps --only-binary=:all: -d $(WHEELS) \
		--python-version $(GPU_PYTHON) -c constraints.txt \
		annotated-types click iniconfig lazy-loader markdown-it-py mdurl packaging platformdirs \
		pluggy pydantic pydantic-core pygments pytest pyyaml rich safetensors tabulate \
		typing-extensions typing-inspection

$(STAMPS)/environment $(PERF)/stamps/environment: %/stamps/environment:
	$(if $(filter new,$(PYTHON_AGE)),,$(error benchmark needs Python 3.11 or newer, which $(PYTHON) is not; name another, as in make PYTHON=python3.12))
	$(PYTHON) -m venv --clear $*
	@mkdir -p $(@D) && touch $@

$(STAMPS)/run: $(STAMPS)/environment $(PINNED)
	$(INSTALL) --editable .
	@touch $@

$(STAMPS)/test $(STAMPS)/development $(STAMPS)/docs: $(STAMPS)/%: $(STAMPS)/run
	$(INSTALL) --editable '.[$*]'
	@touch $@

$(STAMPS)/all: $(STAMPS)/environment $(PINNED)
	$(INSTALL) --editable '.[test,development,docs]'
	@touch $(addprefix $(STAMPS)/,run test development docs all)

$(PERF)/stamps/peers: $(PERF)/stamps/environment $(PINNED) perf/requirements.txt
	$(call INSTALL_INTO,$(PERF)) -r perf/requirements.txt --editable .
	@touch $@

clean:
	rm -rf .venv $(PERF) $(GPU) $(WHEELS) build dist docs/_build *.egg-info .mypy_cache .pytest_cache .ruff_cache
