# Needs Python >= 3.11, git and make. `make help` lists the commands.
PYTHON ?= python3
BIN := .venv/bin
EXTRAS := numpy torch jax conformance $(if $(shell nvidia-smi -L 2>/dev/null),cupy)
GROUPS := test

.PHONY: help setup demo test lint docs bench scoreboard foreign evidence gpu clean
help:
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## / - /'

setup: .venv/.done ## .venv with every extra that this machine can run

.venv/.done: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "deva-optim needs Python >= 3.11: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check 'pip>=25.1'
	@# Plain pip, pinned: an extra that has no build for this machine is left out, and said so.
	@for extra in $(EXTRAS); do \
	  echo "installing deva-optim[$$extra] …"; \
	  $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[$$extra]" \
	    || echo "deva-optim[$$extra] cannot be installed here: its tests will be skipped"; \
	done
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt $(GROUPS:%=--group %)
	@touch $@

demo: setup ## one optimizer, one model, three frameworks: out/demo.html
	$(BIN)/python examples/digits.py

test: setup ## all tests, from the tree and from the built wheel
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: setup ## format, lint, types, import contracts
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt --group lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

docs: setup ## the site, in site/
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt --group docs
	$(BIN)/mkdocs build --strict

bench: setup ## every published figure, reprinted; SPEED="--deva-authors …" adds options to benchmarks.speed
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt --group bench
	@# Its dependencies are kernels for CUDA, which it imports only where they are asked for.
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps gram-newton-schulz==0.1.6
	$(BIN)/python -m benchmarks.apart
	$(BIN)/python -m benchmarks.well_posed
	$(BIN)/python -m benchmarks.gram
	$(BIN)/python -m benchmarks.narrow
	$(BIN)/python -m benchmarks.replacements
	$(BIN)/python -m benchmarks.speed $(SPEED)

scoreboard: setup ## the kit on optimizers that others ship, each in an environment of its own: docs/scoreboard.md
	$(BIN)/python -m benchmarks.scoreboard --publish

foreign: setup ## the kit on array libraries that are not ours, each in an environment of its own; FOREIGN="mlx dask" chooses
	PYTHONPATH=conformance $(BIN)/python -m foreign $(FOREIGN)

evidence: setup ## the papers' experiments, and docs/evidence.md; SHORT=--short for a smaller form without the page
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt --group bench --group demo
	$(BIN)/python -m benchmarks.papers run $(SHORT)
	$(if $(SHORT),,$(BIN)/python -m benchmarks.papers page)

gpu: setup ## the kit, checks and timings on every GPU library here; says so where there is none
	$(BIN)/python -m benchmarks.gpu
	$(if $(shell nvidia-smi -L 2>/dev/null),$(BIN)/python -m benchmarks.speed --device cuda --part pairs --part dispatches --out out/gpu-speed.json)

clean: ## remove what these commands made
	rm -rf .venv site dist out .pytest_cache .ruff_cache .import_linter_cache
