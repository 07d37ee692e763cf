# Needs Python >= 3.11, git and make. `make help` lists the commands.
PYTHON ?= python3
BIN := .venv/bin
EXTRAS := numpy torch jax conformance $(if $(shell nvidia-smi -L 2>/dev/null),cupy)
GROUPS := test
# What `make demo` needs. Its sizes and those of `make setup` were measured in fresh clones, with constraints.txt.
DEMO_EXTRAS := numpy torch jax
DEMO_SIZE := 1.6 GB
DEMO_DOWNLOAD := 0.35 GB
SETUP_SIZE := 2.2 GB
TEST_MINUTES := 10

.PHONY: help setup demo test lint docs bench scoreboard foreign evidence gpu clean
help:
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## / - /'

# A terminal shows pip's own progress; a log gets one line an extra.
PIP := $(BIN)/python -m pip install --disable-pip-version-check
define install
@for extra in $(1); do \
  echo "installing deva-optim[$$extra] …"; \
  if [ -t 1 ]; then quiet=; else quiet=-q; fi; \
  $(PIP) $$quiet -c constraints.txt -e ".[$$extra]" \
    || echo "deva-optim[$$extra] cannot be installed here and is left out"; \
done
endef

setup: .venv/.done ## .venv with every extra that this machine can run
	@echo
	@echo "Ready: $$(du -sh .venv | cut -f1) in .venv. What to do next:"
	@echo "  make demo                    one model in three frameworks (1 minute): out/demo.html"
	@echo "  make test                    all tests ($(TEST_MINUTES) minutes on two cores)"
	@echo "  . .venv/bin/activate         then: python -m deva_conformance, python examples/torch_digits.py"

.venv/.base: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "deva-optim needs Python >= 3.11: make PYTHON=python3.12 …")'
	@$(PYTHON) -m venv .venv
	@$(PIP) -q 'pip>=25.1'
	@touch $@

.venv/.demo: .venv/.base
	@echo "The first run installs $(DEMO_EXTRAS) and what the demo needs into .venv:"
	@echo "  $(DEMO_SIZE) on disk, $(DEMO_DOWNLOAD) to download, with PyTorch's build for CPUs; 1 to 10 minutes, by the network."
	@echo "  On Linux PyTorch's usual build is for CUDA and several GB larger; pytorch.org says how to get the other."
	@echo "  'make clean' removes it."
	$(call install,$(DEMO_EXTRAS))
	@$(PIP) -q -c constraints.txt --group demo
	@touch $@

.venv/.done: .venv/.base
	@echo "The first run installs $(EXTRAS) and the tools of the tests into .venv:"
	@echo "  $(SETUP_SIZE) on disk with PyTorch's build for CPUs; 2 to 15 minutes, by the network. 'make clean' removes it."
	@# Plain pip, pinned: an extra that has no build for this machine is left out, and said so.
	$(call install,$(EXTRAS))
	@$(PIP) -q -c constraints.txt $(GROUPS:%=--group %)
	@touch .venv/.demo $@

demo: .venv/.demo ## one optimizer, one model, three frameworks: out/demo.html
	@echo "Training one network in three frameworks takes about a minute."
	@$(BIN)/python examples/digits.py

test: .venv/.done ## all tests, from the tree and from the built wheel; why some were skipped, and the ten slowest
	$(BIN)/python -m pytest -n 2 --dist worksteal --durations=10

lint: .venv/.done ## format, lint, types, import contracts
	$(PIP) -q -c constraints.txt --group lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

docs: .venv/.done ## the site, in site/
	$(PIP) -q -c constraints.txt --group docs
	$(BIN)/mkdocs build --strict

bench: .venv/.done ## every published figure, reprinted; SPEED="--deva-authors …" adds options to benchmarks.speed
	$(PIP) -q -c constraints.txt --group bench
	@# Its dependencies are kernels for CUDA, which it imports only where they are asked for.
	$(PIP) -q --no-deps gram-newton-schulz==0.1.6
	$(BIN)/python -m benchmarks.apart
	$(BIN)/python -m benchmarks.well_posed
	$(BIN)/python -m benchmarks.gram
	$(BIN)/python -m benchmarks.narrow
	$(BIN)/python -m benchmarks.replacements
	$(BIN)/python -m benchmarks.speed $(SPEED)

scoreboard: .venv/.done ## the kit on optimizers that others ship, each in an environment of its own: docs/scoreboard.md
	$(BIN)/python -m benchmarks.scoreboard --publish

foreign: .venv/.done ## the kit on array libraries that are not ours, each in an environment of its own; FOREIGN="mlx dask" chooses
	PYTHONPATH=conformance $(BIN)/python -m foreign $(FOREIGN)

evidence: .venv/.done ## the papers' experiments, and docs/evidence.md; SHORT=--short for a smaller form without the page
	$(PIP) -q -c constraints.txt --group bench --group demo
	$(BIN)/python -m benchmarks.papers run $(SHORT)
	$(if $(SHORT),,$(BIN)/python -m benchmarks.papers page)

gpu: .venv/.done ## the kit, checks and timings on every GPU library here; says so where there is none
	$(BIN)/python -m benchmarks.gpu
	$(if $(shell nvidia-smi -L 2>/dev/null),$(BIN)/python -m benchmarks.speed --device cuda --part pairs --part dispatches --out out/gpu-speed.json)

clean: ## remove what these commands made
	rm -rf .venv .venv-lowest site dist out .pytest_cache .ruff_cache .import_linter_cache
