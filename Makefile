# The two commands a newcomer needs are `make demo` and `make test`; each does its own set-up.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=

.PHONY: demo test check bench screenshot lock clean help

help:
	@echo "make demo        watch an embedded fleet (ARGS='--plain --seconds 20' without a terminal)"
	@echo "make test        every test; installs what the lab tests need where it may"
	@echo "make check       ruff, mypy, import contracts, Python 3.8 check of the host side"
	@echo "make bench       the benchmarks, as ratios; ARGS=--quick for a short run"
	@echo "make screenshot  docs/images made again from the demo"
	@echo "make lock        the two lock files made again from pyproject.toml"

demo: $(VENV)/.run
	@scripts/demo $(ARGS)

test: $(VENV)/.dev
	@scripts/test $(ARGS)

check: $(VENV)/.dev
	@scripts/check

bench: $(VENV)/.dev
	@$(BIN)/python -m benchmarks $(ARGS)

screenshot: $(VENV)/.dev
	@$(BIN)/python scripts/screenshot

lock: $(VENV)/.dev
	@scripts/lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build

$(VENV)/.run: requirements.lock
	@scripts/venv "$(PYTHON)" "$(VENV)" requirements.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock
	@scripts/venv "$(PYTHON)" "$(VENV)" requirements-dev.lock
	@touch $@ $(VENV)/.run
