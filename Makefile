# Every goal makes .venv and installs into it what it needs; nothing is installed again until
# pyproject.toml or constraints.txt change.

PYTHON ?= python3
EXTRAS ?= dev,jax,onnx,ray,serve,signing,torch
ARGS ?=
WORKERS ?= 2
BENCH ?= startup search strategies
OTHER_BENCHES := $(filter-out startup search strategies cases turns,$(basename $(notdir $(sort $(wildcard benchmarks/*.py)))))

# Each process begins with a half of the files in their order, whose tests share what they train; who is through
# takes over from the other.
PARALLEL = --numprocesses $(WORKERS) --dist worksteal
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt
BASE := $(VENV)/.installed
comma := ,
FULL := $(VENV)/.installed-$(subst $(comma),-,$(EXTRAS))

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-tensorflow test-jax test-torch lint bench clean

help:
	@echo "make demo    choose lambda for a CNN on real handwritten digits, export it, check the files (runs/demo)"
	@echo "make test    the tests on TensorFlow, then those of every backend on JAX and PyTorch"
	@echo "make lint    ruff and mypy"
	@echo "make bench   the quick ones of the measured claims, $(BENCH), in about 20 minutes;"
	@echo "             others by name: make bench BENCH='$(OTHER_BENCHES)'"
	@echo "make clean   remove .venv and caches; runs/ stays"
	@echo ""
	@echo "Another interpreter: make demo PYTHON=python3.12.  Without PyTorch: make test EXTRAS=dev,jax,onnx,ray,serve,signing."
	@echo "Options of a goal:   make demo ARGS='--label-noise 0.2'.  make test ARGS='-k policy'."

demo: $(BASE)
	$(BIN)/python recipes/tune_l2.py --out runs/demo $(ARGS)

test: test-tensorflow test-jax test-torch

test-tensorflow: $(FULL)
	KERAS_BACKEND=tensorflow $(BIN)/python -m pytest $(PARALLEL) $(ARGS)

test-jax: $(FULL)
	$(call test_backend,jax)

test-torch: $(FULL)
	$(call test_backend,torch)

lint: $(FULL)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(FULL)
	$(foreach name,$(BENCH),$(BIN)/python benchmarks/$(name).py &&) true

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# $(1): Keras's name of the backend, which is the package's too; without it the goal says so and passes.
# Pytest's 5 says that ARGS chose no test of every backend.
# What a test compiles with JAX it runs a few times: optimising it takes longer than it saves.
define test_backend
@if $(BIN)/python -c "import $(1)" 2>/dev/null; then \
	echo "KERAS_BACKEND=$(1) $(BIN)/python -m pytest -m backends $(PARALLEL) $(ARGS)"; \
	JAX_DISABLE_MOST_OPTIMIZATIONS=1 KERAS_BACKEND=$(1) $(BIN)/python -m pytest -m backends $(PARALLEL) $(ARGS) || test $$? -eq 5; \
else \
	echo "Skipped the tests on the $(1) backend: $(1) is not installed (EXTRAS=$(EXTRAS))."; \
fi
endef

$(BASE): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing l2zoo into $(VENV); the first time this takes a few minutes."
	$(PIP_INSTALL) -e .
	@touch $@

$(FULL): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing l2zoo[$(EXTRAS)] into $(VENV); the first time this takes a few minutes."
	$(PIP_INSTALL) -e ".[$(EXTRAS)]"
	@touch $(BASE) $@

$(BIN)/python:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || { \
		echo "l2zoo needs Python 3.11 or newer; $(PYTHON) is: $$($(PYTHON) --version 2>&1)." >&2; \
		echo "Name another one: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
