# Two commands for a newcomer: make demo, make test. Both set up what they need.
SHELL := /bin/bash
PY := .venv/bin/python

.PHONY: help setup demo test lint faults bench servers-test fax-test faults-test lock clean

help: ## What can be done here
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

setup: .venv/ready ## The virtual environment and the system libraries

.venv/ready: requirements.lock pyproject.toml .ci/prepare
	@.ci/prepare
	@touch $@

demo: .venv/ready ## The whole service with pretend recipients; ARGS="--once --json out.json"
	@$(PY) -m coordinator.cli demo $(ARGS)

test: .venv/ready lint ## Every test that needs no servers
	@$(PY) -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m "not servers and not faults" $(ARGS)

lint: .venv/ready ## Style, types, layers
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@$(PY) -m mypy
	@.venv/bin/lint-imports --no-cache | tail -n 4

servers-test: .venv/ready ## The server-backed suite; .ci/run starts the servers for it
	@$(PY) -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder -m "servers and not fax and not faults" $(ARGS)

fax-test: .venv/ready ## Every letter as a fax, read back by OCR (installs tesseract; some minutes)
	@tests/fax/prepare
	@$(PY) -m pytest -q -n 2 -m fax tests/fax $(ARGS)

faults-test: .venv/ready ## Workers killed on the embedded engine, and 500 seeds: of the fault tests what make test leaves out
	@COORDINATOR_SEEDS=500 $(PY) -m pytest -q -n 3 --dist loadfile -m "(faults or seeds) and not servers" tests/faults $(ARGS)

faults: .venv/ready ## All fault tests on every engine, and their tables in docs/reliability.md
	@$(PY) -m tests.faults $(ARGS)

bench: .venv/ready ## Benchmarks, each as a ratio to a floor in the same run
	@$(PY) -m tests.bench $(ARGS)

clean: ## Remove what was made here
	@rm -rf .venv demo-data demo-output
