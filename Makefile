# The targets; each makes what it needs. PYTHON=python3.12 picks another interpreter for the virtual environment.
PYTHON ?= python3
VENV ?= .venv
ARGS ?=
bin := $(VENV)/bin

.PHONY: demo run test test-thorough test-deep mutation bench lint clean

demo: $(VENV)/.runtime ## start everything, tell the story, go on serving (ARGS=--once: stop after the story)
	$(bin)/python -m wallet_project.embedded.run --story $(ARGS)

run: $(VENV)/.runtime ## start everything without the story
	$(bin)/python -m wallet_project.embedded.run $(ARGS)

test: $(VENV)/.development ## the tests, on servers of their own: five minutes
	$(bin)/python -m pytest -n 4 -m "not thorough" $(ARGS)

test-thorough: $(VENV)/.development ## what takes longer, of what changes rarely (CI runs it too): four minutes more
	$(bin)/python -m pytest -n 4 -m thorough $(ARGS)

test-deep: $(VENV)/.development ## 200,000 steps of the model of money, each race a hundred times, plans at a million entries: hours (docs/proof.md)
	$(bin)/python -m pytest -vv -n 2 tests/ledger -k "model or races or at_once or when_large" --steps 200000 --rounds 100 --entries 1000000 $(ARGS)

mutation: $(VENV)/.development ## judge mutants of the money core: docs/mutation.md
	nice -n 10 $(bin)/python -m tests.mutation.run $(ARGS)

bench: $(VENV)/.runtime ## how much this machine carries, beside pgbench's own TPC-B: docs/performance.md
	$(bin)/python -m bench $(ARGS)

lint: $(VENV)/.development ## style, types, layers, compose file
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	# Its Django plugin reads the settings; nothing is connected to.
	DEBUG=on DATABASE_URL=postgres://nowhere REDIS_URL=redis://nowhere $(bin)/mypy
	$(bin)/lint-imports
	$(bin)/hadolint Dockerfile
	$(bin)/docker-compose config --quiet
	$(bin)/compose-lint check -q --skip-suppressed --fail-on low --config deploy/compose-lint.yml docker-compose.yml

clean: ## remove the virtual environment and the local data
	rm -rf $(VENV) .local .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache staticfiles

$(VENV)/.runtime: requirements.txt
	# One that was begun without ensurepip (Debian: python3-venv) has no pip, and is made anew.
	$(bin)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@echo "Installing what requirements.txt names: a minute or two, and only this time."
	$(bin)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/.development: $(VENV)/.runtime requirements-dev.txt
	$(bin)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@
