# One door: `make help`. Needs make and a Python 3.11 or newer; builds its own .venv.
# Without make: python3 -m venv .venv && .venv/bin/pip install -r requirements-dev.txt && .venv/bin/pytest

PYTHON ?=
VENV ?= .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo serve code test coverage check docs openapi messages bench screenshots matrix build env clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  PYTHON=/path/to/python3 chooses the interpreter of .venv; ARGS=... is passed on to pytest, the demo or the bench"

env: ## build .venv, or do nothing if it is up to date
	@scripts/environment "$(VENV)" "$(PYTHON)"

demo: env ## the whole story over HTTP against a fresh server, checked as it is shown
	@$(BIN)/python manage.py demo $(ARGS)

serve: env ## the same server left running, with API docs, admin and a phone page
	@$(BIN)/python manage.py demo --serve $(ARGS)

code: env ## the code that the admin of make serve asks for beside the password
	@$(BIN)/python manage.py demo --code $(ARGS)

test: env ## the whole suite; it starts its own PostgreSQL and broker
	@$(BIN)/pytest $(ARGS)

coverage: env ## the whole suite with branch coverage, which must reach 95 %
	@$(BIN)/pytest --cov --cov-fail-under=95 $(ARGS)

check: env ## lint, format, types, import law, missing migrations, OpenAPI snapshot, documentation site
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/pytest --numprocesses=0 --quiet tests/api/test_openapi.py
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs build/docs

docs: env ## build the documentation site, build/docs/index.html
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs build/docs

openapi: env ## write the OpenAPI snapshot anew, after a change that is meant
	$(BIN)/python -m tests.api.snapshot

messages: env ## gather the texts of both catalogues and compile them (needs gettext)
	$(BIN)/python manage.py makemessages -l pt_BR -l es --no-location --no-wrap --no-obsolete --ignore tests --ignore '.*' $(ARGS) && $(BIN)/python manage.py compilemessages --ignore '.*'

bench: env ## full flows a second beside a floor of raw SQL, on PostgreSQL with default durability
	@$(BIN)/python -m tests.bench $(ARGS)

screenshots: env ## a picture of each page of admin and shop, in build/screenshots (needs Chromium)
	@$(BIN)/pytest $(ARGS) tests/browser/screenshots.py

matrix: ## the whole suite on the oldest and the newest supported Python and Django
	@scripts/matrix $(ARGS)

build: env ## the distributions, in dist/
	@$(BIN)/python -m build

clean: ## remove what the targets made, environments included
	@rm -rf .venv .matrix build dist .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
