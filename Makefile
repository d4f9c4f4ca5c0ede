# Every goal makes a virtual environment, .venv, and installs into it what it needs; nothing is installed again until
# pyproject.toml or the constraints change. Another interpreter has an environment of its own.

PYTHON ?= python3
EXTRAS ?= dev,docs,hub,jax,onnx,oracles,ray,serve,signing
ARGS ?=
WORKERS ?= 2
BENCH ?= startup search strategies
OTHER_BENCHES := $(filter-out startup search strategies cases fused_norm measured turns,$(basename $(notdir $(sort $(wildcard benchmarks/*.py)))))

VENV ?= .venv$(addprefix -,$(filter-out python3,$(notdir $(PYTHON))))
CONSTRAINTS ?= constraints.txt
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet -c $(CONSTRAINTS)
BASE := $(VENV)/.installed
comma := ,
FULL := $(VENV)/.installed-$(subst $(comma),-,$(EXTRAS))

# Each process begins with a half of the files in their order, whose tests share what they train; who is through
# takes over from the other.
PYTEST = $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal
# What is promised of the lowest versions.
LOWEST := $(addprefix tests/,$(addsuffix .py,$(addprefix regularization/test_,policy weights strength saved_penalty) \
	engine/test_trainer engine/test_job artifacts/test_export) training artifacts/formats)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-slow test-sweep test-all test-lowest lint docs bench wheels clean
.PHONY: test-tensorflow test-jax test-torch slow-tensorflow slow-jax slow-torch

help:
	@echo "make demo         choose lambda for a CNN on real handwritten digits, export it, check the files (runs/demo)"
	@echo "make test         the quick tests, on TensorFlow, JAX and PyTorch: about 8 minutes on two cores"
	@echo "make test-slow    the rest: recipes, servers, browsers, clusters, kills, more of the same; the lowest versions"
	@echo "make test-sweep   every other model of each family, of the zoo and of keras.applications"
	@echo "make test-all     all three"
	@echo "make test-lowest  the tests of regularisation, training and export with the lowest versions that we allow"
	@echo "make lint         ruff and mypy"
	@echo "make docs         the documentation, in build/docs: open build/docs/index.html; warnings are errors"
	@echo "make bench        the quick ones of the measured claims, $(BENCH), in about 20 minutes;"
	@echo "                  others by name: make bench BENCH='$(OTHER_BENCHES)'"
	@echo "make wheels       build l2zoo, and l2zoo-runtime that runs files without TensorFlow, into dist/"
	@echo "make clean        remove environments and caches; runs/ stays"
	@echo ""
	@echo "Another interpreter: make demo PYTHON=python3.12.  Without PyTorch: make test EXTRAS=dev,hub,jax,onnx,ray,serve,signing."
	@echo "Options of a goal:   make demo ARGS='--label-noise 0.2'.  make test ARGS='-k policy'."

demo: $(BASE)
	$(BIN)/l2zoo tune l2zoo_digits --out runs/demo $(ARGS)

test: test-tensorflow test-jax test-torch

test-slow: slow-tensorflow slow-jax slow-torch test-lowest

test-sweep: $(FULL)
	KERAS_BACKEND=tensorflow $(PYTEST) -m sweep $(ARGS)
	$(call test_backend,jax,sweep)
	$(call test_backend,torch,sweep)

test-all: test test-slow test-sweep

test-tensorflow: $(FULL)
	KERAS_BACKEND=tensorflow $(PYTEST) -m "not slow" $(ARGS)

slow-tensorflow: $(FULL)
	KERAS_BACKEND=tensorflow $(PYTEST) -m "slow and not sweep" $(ARGS)

test-jax: $(FULL)
	$(call test_backend,jax,not slow)

slow-jax: $(FULL)
	$(call test_backend,jax,slow and not sweep)

test-torch: $(FULL)
	$(call test_backend,torch,not slow)

slow-torch: $(FULL)
	$(call test_backend,torch,slow and not sweep)

# TensorFlow's lowest is not for Python 3.13. What those versions warn of is theirs.
test-lowest:
	@if $(PYTHON) -c "import sys; sys.exit(sys.version_info >= (3, 13))"; then \
		$(MAKE) test-tensorflow VENV=.venv-lowest CONSTRAINTS=constraints-lowest.txt EXTRAS=dev,onnx \
			ARGS="-o filterwarnings=default $(LOWEST) $(ARGS)"; \
	else \
		echo "Skipped the tests with the lowest versions: they are not for $$($(PYTHON) --version)."; \
	fi

lint: $(FULL)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(FULL)
	$(BIN)/python -m sphinx -W --keep-going --quiet -b html docs build/docs
	@echo "Open build/docs/index.html."

bench: $(FULL)
	$(foreach name,$(BENCH),$(BIN)/python benchmarks/$(name).py &&) true

# Two wheels of one tree: runtime/README.md says which is for whom.
wheels: $(BASE)
	$(BIN)/python -m pip wheel --disable-pip-version-check --quiet --no-deps --wheel-dir dist . ./runtime
	@ls dist/*.whl

clean:
	rm -rf .venv .venv-* build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# $(1): Keras's name of the backend, which is the package's too; without it the goal says so and passes.
# $(2): which of the tests of every backend; only files that have some are read. Pytest's 5 says that ARGS chose
# none of them.
# What a test compiles with JAX it runs a few times: optimising it takes longer than it saves.
define test_backend
@if $(BIN)/python -c "import $(1)" 2>/dev/null; then \
	set -x; JAX_DISABLE_MOST_OPTIMIZATIONS=1 KERAS_BACKEND=$(1) \
		$(PYTEST) -o testpaths="$$(grep -rl --include='test_*.py' mark.backends tests | sort | tr '\n' ' ')" \
		-m "backends and $(2)" $(ARGS) || test $$? -eq 5; \
else \
	echo "Skipped the tests on the $(1) backend: $(1) is not installed (EXTRAS=$(EXTRAS))."; \
fi
endef

$(BASE): pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	@echo "Installing l2zoo into $(VENV); the first time this takes a few minutes."
	$(PIP_INSTALL) -e .
	@touch $@

$(FULL): pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	@echo "Installing l2zoo[$(EXTRAS)] into $(VENV); the first time this takes a few minutes."
	$(PIP_INSTALL) -e ".[$(EXTRAS)]"
	@touch $(BASE) $@

$(BIN)/python:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || { \
		echo "l2zoo needs Python 3.11 or newer; $(PYTHON) is: $$($(PYTHON) --version 2>&1)." >&2; \
		echo "Name another one: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
