# Everything here works on a machine with Python 3.11 or newer, git and make. Another Python: make up PYTHON=python3.12
PYTHON ?= python3
BOOTSTRAP = exec $(PYTHON) -u scripts/bootstrap.py
.PHONY: up install test test-all bench lint lock clean help
.DEFAULT_GOAL := help

up:    ## start the portal with everything it needs; Ctrl-C ends it (PORT=8000, DEMO=0 for an empty one)
	@$(BOOTSTRAP) up

install: ## packages and assets only, for a machine where systemd starts the parts (docs/guide/operate.md)
	@$(BOOTSTRAP) install

test:  ## lint and the whole test suite, browser journeys included (ARGS="tests/up -x" for a part)
	@$(BOOTSTRAP) test $(ARGS)

test-all: ## the same with every case of the fault and isolation matrices; takes an hour
	@$(BOOTSTRAP) test-all $(ARGS)

bench: ## measure, and write docs/reference/performance.md (ARGS="pages" for a part)
	@$(BOOTSTRAP) bench $(ARGS)

lint:  ## ruff, layers, types, templates, security scanners
	@$(BOOTSTRAP) lint

lock:  ## resolve the dependencies in pyproject.toml anew
	@$(BOOTSTRAP) lock

clean: ## stop what runs here and remove .venv, .slipway (all data) and installed assets
	@$(BOOTSTRAP) clean

help:
	@sed -n 's/^\([a-z-]*\): *## /make \1\t/p' Makefile
