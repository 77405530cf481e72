# make run: the whole pipeline (RECIPE=name of a file in recipes/).  make test: linters and all tests.  Needs Python >= 3.11, make and git.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYTHONUTF8 := 1
export HF_HUB_DISABLE_TELEMETRY := 1
export DO_NOT_TRACK := 1
unexport PYTHONDONTWRITEBYTECODE # compiling the same modules in every process cost 2.5 s per stage, 6 s with PyTorch

.PHONY: run remote cluster googlebatch test test-fast lint types style bytecode format lock demo-target prompts recipes clean-env

run: $(VENV)/.base
	@if [ -n "$(RECIPE)" ]; then eyrie recipe "$(RECIPE)"; fi
	@eyrie run

# make remote BUCKET=gs://bucket/path: where `dvc push` and `eyrie pull` keep data and models
remote: $(VENV)/.base
	@eyrie remote "$(BUCKET)"

# make cluster: Snakemake's plug-ins for Slurm and Kubernetes, into the environment that is there
cluster: $(VENV)/.base
	@uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements/cluster.lock

# make googlebatch: the plug-in for Google Batch, which wants an older google-cloud-storage and gcsfs, into the same
googlebatch: $(VENV)/.base
	@uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements/googlebatch.lock

# Three files side by side (some only wait), in the order of testpaths: the longest begin first. One thread each, or PyTorch's would fight for the cores.
PYTEST := OMP_NUM_THREADS=1 pytest -n 3 --dist loadfile --no-loadscope-reorder

test: $(VENV)/.dev
	@$(MAKE) --no-print-directory --jobs 2 --output-sync types style bytecode
	@$(PYTEST)

# In a new environment: what tests import is compiled once, beside the linters, and not by every worker at once.
bytecode: $(VENV)/.dev
	@pytest --collect-only -q > /dev/null 2>&1 || true # what fails here says so in the tests

test-fast: $(VENV)/.dev
	@$(PYTEST) -m "not slow"

lint: $(VENV)/.dev
	@$(MAKE) --no-print-directory --jobs 2 --output-sync types style

types: $(VENV)/.dev
	@mypy

style: $(VENV)/.dev
	@ruff check . && ruff format --check . && snakefmt --check Snakefile workflow
	@lint-imports --no-logo && codespell

format: $(VENV)/.dev
	@ruff format . && ruff check --fix . && snakefmt Snakefile workflow

# An environment is made again when a lock changes. The dev lock holds the base lock's versions and more.
# A lock is whole, so nothing is resolved again (--no-deps): Slurm's plug-in would refuse the numpy that it is given.
$(VENV)/.base: requirements/base.lock pyproject.toml | $(VENV)/.uv
	@if [ -f $(VENV)/.dev ]; then lock=requirements/dev.lock; else lock=requirements/base.lock; fi; \
	echo "Installing the environment from $$lock (about 6 GB, mostly PyTorch's CUDA libraries) ..."; \
	uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r $$lock
	@uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.lock pyproject.toml | $(VENV)/.uv
	@echo "Installing the development environment (about 11 GB, mostly CUDA libraries) ..."
	@uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements/dev.lock
	@uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@ $(VENV)/.base

$(VENV)/.uv:
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/uv.lock
	@touch $@

# sglang pins the most, so everything else takes its versions: adding the extra changes nothing.
COMPILE := uv pip compile pyproject.toml --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet
# Slurm's plug-in asks for numpy >= 2.4.5, which SGLang excludes, and does with 2.3 (overrides.txt, tests/workflow/test_slurm.py)
SAME := -c requirements/base.lock -c requirements/sglang.lock
lock: $(VENV)/.uv
	$(COMPILE) --extra sglang -o requirements/sglang.lock
	$(COMPILE) -c requirements/sglang.lock -o requirements/base.lock
	$(COMPILE) --extra dev $(SAME) -o requirements/dev.lock
	$(COMPILE) --extra slurm --extra kubernetes $(SAME) --override requirements/overrides.txt -o requirements/cluster.lock
	cp requirements/base.lock requirements/googlebatch.lock # versions that a lock holds already are kept where they can be
	$(COMPILE) --extra googlebatch -o requirements/googlebatch.lock
	echo uv | uv pip compile - --generate-hashes --no-emit-index-url --no-header --quiet -o requirements/uv.lock

demo-target: $(VENV)/.base
	@python -m tools.demo.build_target --work .eyrie/demo-target --out resources/demo-target

recipes: $(VENV)/.base
	@python -m tools.recipes

prompts: $(VENV)/.base
	@python -m tools.demo.build_prompts --out resources/prompts

clean-env:
	rm -rf $(VENV)
