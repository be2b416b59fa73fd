# Everything a person does with this project. On a fresh machine it needs Python 3.11 or newer and make.
PYTHON ?= $(firstword $(foreach python,python3 python3.14 python3.13 python3.12 python3.11,\
	$(shell $(python) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(python))))
BIN := .venv/bin
RESOLVE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
LOCKED := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes

# A stamp is named by the check sum of its lock, so a changed lock is installed, and an unchanged one never twice.
RUNTIME := .venv/.runtime-$(firstword $(shell cksum < requirements.txt))
TOOLS := .venv/.tools-$(firstword $(shell cksum < requirements-dev.txt))
NODE := $(patsubst %/package-lock.json,%/node_modules/.package-lock.json,$(wildcard tests/*/package-lock.json))

.DEFAULT_GOAL := help
.PHONY: help install tools run demo worker test lint fix bench prove texts migration lock vendor docs python

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: install ## serve http://127.0.0.1:8000 with the worker inside, data under instance/
	@exec $(BIN)/python -m whatsnext serve

demo: install ## fill an empty instance/ with a sample series; make run then shows its mails on a page
	@exec $(BIN)/python -m whatsnext demo

worker: install ## only deliver mails and do what is due (for an installation of several processes)
	@exec $(BIN)/python -m whatsnext worker

test: tools ## all tests with coverage, or a part: make test T=tests/services/test_signup.py
ifdef T
	@$(BIN)/python -m pytest $(T)
else
	@tools/need.sh chromium postgresql node dovecot nginx
	@$(MAKE) --no-print-directory $(NODE)
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --cov --cov-report=term:skip-covered
endif

lint: tools ## ruff, mypy, import contracts, catalogue, templates, dependencies, the tree
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.check_catalogue
	$(BIN)/djlint templates --lint --quiet
	$(BIN)/deptry .
	$(BIN)/python -m tools.check_tree

fix: tools ## put right what the linters can put right by themselves
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: tools ## measure the pages as ratios to a bare Flask view on the same server
	@tools/need.sh wrk postgresql
	@$(BIN)/python -m bench --pg

prove: tools ## show what safety promises with large numbers, kept in docs/trust.md; a part: make prove P="kills"
	@tools/need.sh postgresql dovecot
	@P="$(P)" SMALL="$(SMALL)" $(BIN)/python -m tools.prove

texts: tools ## take new texts into the catalogue; then fill in the German
	$(BIN)/python -m tools.texts update
	$(BIN)/python -m tools.check_catalogue

migration: tools ## a new migration: make migration m="number arrivals"
	@test -n "$(m)" || { echo 'Say what it does: make migration m="number arrivals"' >&2; exit 1; }
	$(BIN)/python -m tools.migration "$(m)"

lock: ## lock the dependencies of pyproject.toml anew (needs uv)
	@command -v uv >/dev/null || { echo 'Missing: uv. Install it, for instance: pipx install uv' >&2; exit 1; }
	$(RESOLVE) pyproject.toml --output-file requirements.txt
	$(RESOLVE) pyproject.toml --group dev --output-file requirements-dev.txt

vendor: tools ## fetch the design system and its fonts again into static/vendor/
	@tools/need.sh node
	$(BIN)/python -m tools.vendor

docs: tools ## take the screenshots of the documentation again
	@tools/need.sh chromium
	$(BIN)/python -m tools.screenshots

install: $(RUNTIME)
	@$(BIN)/python -m tools.texts compile

tools: $(TOOLS)
	@$(BIN)/python -m tools.texts compile

python:
	@test -n "$(PYTHON)" || { echo 'Missing: Python 3.11 or newer.' >&2; exit 1; }

.venv/bin/python: | python
	@PYTHON="$(PYTHON)" tools/need.sh venv
	@$(PYTHON) -m venv .venv

$(RUNTIME): | .venv/bin/python
	@echo 'Installing what it needs to run (once) ...'
	@$(LOCKED) -r requirements.txt
	@rm -f .venv/.runtime-* && touch $@

$(TOOLS): | .venv/bin/python
	@echo 'Installing what it needs to be tested (once) ...'
	@$(LOCKED) -r requirements-dev.txt
	@rm -f .venv/.tools-* .venv/.runtime-* && touch $@ $(RUNTIME)

%/node_modules/.package-lock.json: %/package-lock.json
	@cd $* && npm ci --silent --no-audit --no-fund --ignore-scripts && touch node_modules/.package-lock.json
