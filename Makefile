# Every target delegates; set-up is kept in .venv and repeats only when pyproject or requirements change.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Workers of pytest that are interrupted tear nothing down; with this parent all they started ends.
ENDING := $(BIN)/python resources/process_serving/reaper.py
SIDE_BY_SIDE := --numprocesses 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help setup demo up down test test-cluster test-machines test-slurm test-switch testbed-up testbed-down check fmt docs lock

help: ## list the targets
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-23s %s\n", $$1, $$2}'

setup: $(STAMP) ## make .venv with everything pinned in requirements.txt

$(STAMP): requirements.txt requirements-libvirt.txt pyproject.toml
	@PYTHON="$(PYTHON)" VENV="$(VENV)" sh ./setup.sh
	@touch $@

demo: $(STAMP) ## train a tiny model and watch its checkpoints become an endpoint
	@$(BIN)/ai-how demo

up: $(STAMP) ## start the platform
	@$(BIN)/ai-how up

down: ## end the platform and every process of it
	@if [ -x $(BIN)/ai-how ]; then $(BIN)/ai-how down; fi

check: $(STAMP) ## format, lint, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: $(STAMP) ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(STAMP) ## write docs/reference anew from the code
	@$(BIN)/python -m docs.generate

test: check ## checks, unit, real services, end to end: all that needs no cluster
	@status=0; trap 'exit 130' INT TERM; \
	$(ENDING) $(BIN)/pytest -m "not e2e" $(SIDE_BY_SIDE) || status=$$?; \
	$(ENDING) $(BIN)/pytest -m e2e $(SIDE_BY_SIDE) || status=$$?; \
	exit $$status

test-cluster: $(STAMP) ## what needs Kubernetes, on the testbed; skipped where that cannot be built
	@status=0; \
	$(BIN)/pytest -m "testbed and disruptive" || status=$$?; \
	$(BIN)/pytest -m "testbed and not disruptive" --numprocesses 3 --dist loadfile || status=$$?; \
	exit $$status

test-machines: $(STAMP) ## what boots virtual machines; needs root and Debian's packages, but no KVM
	$(BIN)/pytest -m hypervisor --numprocesses 2 --dist loadfile

test-slurm: $(STAMP) ## what needs Slurm: one of the run's own; needs root and Debian's packages
	$(BIN)/pytest -m slurm

test-switch: $(STAMP) ## a GPU that changes hands: what needs Slurm beside a cluster or virtual machines
	$(BIN)/pytest -m "slurm and (testbed or hypervisor)"

testbed-up: $(STAMP) ## a Kubernetes cluster with KServe on this machine, built on first use
	@$(BIN)/python -m tests.testbed up

testbed-down: $(STAMP) ## end that cluster without a trace
	@$(BIN)/python -m tests.testbed down

lock: ## resolve requirements.txt anew from pyproject.toml
	@PYTHON="$(PYTHON)" VENV="$(VENV)" sh ./setup.sh lock

include clusters.mk
