# Everything runs in .venv, which the first target that needs it makes. `make help` lists what there is.

UV_VERSION = 0.13.9
PYTHON ?= $(shell for each in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$each && break; done)
# More for the command line: make test ARGS="-k webhook"
ARGS ?=
PYTEST = .venv/bin/python -m pytest
# A database for each worker: more than eight would want more connections than the embedded Postgres has.
PARALLEL = --numprocesses auto --maxprocesses 8

# Bytecode is kept whatever the environment says: without it, each `dust` of a test takes 5 s longer.
export PYTHONDONTWRITEBYTECODE =

.PHONY: help install test test-system test-live test-faults test-containers bench check lint schema docs format dev demo chromium node podman
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name what; do \
		printf '  make %-15s %s\n' "$$name" "$$what"; done

install: .venv/.installed ## everything into .venv, and nothing else; the others do it when needed
	@echo "Everything is installed in .venv"

test: .venv/.installed ## the core of the tests, on an embedded Postgres: three minutes on two cores
	@$(PYTEST) -m "not system and not live and not faults and not bench and not containers" $(PARALLEL) $(ARGS)

test-system: .venv/.installed ## the other tests: real processes and servers, crowds, attacks, long random sequences
	@$(PYTEST) -m "system and not live and not faults and not bench and not containers" $(PARALLEL) $(ARGS)

test-live: .venv/.installed node chromium ## the tests against a real Medusa, Flower and a headless Chromium
	@$(PYTEST) -m live $(ARGS)

test-faults: .venv/.installed ## the failure matrix: every process dies at every fail point
	@$(PYTEST) tests/faults -m faults --numprocesses 2 $(ARGS)

test-containers: .venv/.installed podman ## the image and docker-compose.yml with Podman; BASE_IMAGES=real takes those of docker.io
	@nice $(PYTEST) tests/containers -m containers --exitfirst --capture=no --verbose $(ARGS)

bench: .venv/.installed node ## the benchmarks; results go to benchmarks/results
	@.venv/bin/python -m benchmarks $(ARGS)

check: lint test ## lint and the core of the tests

lint: .venv/.installed ## format, lint, types, migrations in step with the models
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy bridge workers benchmarks
	.venv/bin/dust migrate --check

schema: .venv/.installed node ## openapi.json and the TypeScript types of it, after a change of the API; needs `npm install` in both packages
	@.venv/bin/dust openapi > openapi.json.new && mv openapi.json.new openapi.json
	@npm --prefix medusa-plugin run --silent types
	@npm --prefix storefront-kit run --silent types

docs: .venv/.installed ## the documentation site, in .cache/site
	@NO_MKDOCS_2_WARNING=1 UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=.venv .venv/bin/uv run --frozen \
		--all-extras --group docs mkdocs build --strict --quiet
	@echo "The site is in .cache/site"

format: .venv/.installed ## bring the code into shape
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

dev: .venv/.installed ## Dust with reload, for a Medusa you run yourself
	@.venv/bin/dust up --reload $(ARGS)

demo: .venv/.installed ## the whole story against a real Medusa; DEMO=once ends after it
	@.venv/bin/dust demo $(if $(filter once,$(DEMO)),--once) $(ARGS)

.venv/.installed: pyproject.toml uv.lock .venv/bin/uv
	@echo "Installing what uv.lock names"
	@UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=.venv .venv/bin/uv sync --frozen --all-extras
	@touch $@

# A .venv without our uv comes from elsewhere, or from a run that was interrupted: it is made anew.
.venv/bin/uv:
	@test -n "$(PYTHON)" || { echo "Dust needs Python 3.11 or newer, and neither python3 nor python3.11 to python3.14" \
		"is. Install one, or name it: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) comes without venv and pip; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "Making .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

node:
	@node --eval 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)' 2>/dev/null && \
		npm --version >/dev/null || \
		{ echo "The live tests run a real Medusa, which needs Node 20 or newer with npm: https://nodejs.org" >&2; exit 1; }

# Debian's own package where we may install it: it brings the libraries along that a bare download lacks.
chromium:
	@for each in chromium chromium-browser google-chrome; do command -v $$each >/dev/null && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Chromium for the live tests"; \
		apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium; \
	else \
		echo "The live tests need Chromium: install the package chromium (on Debian: apt-get install chromium)" >&2; exit 1; \
	fi

# What the container tests run.
PODMAN_PACKAGES = aardvark-dns buildah ca-certificates catatonit debootstrap iptables netavark openssl podman runc
podman:
	@dpkg --status $(PODMAN_PACKAGES) >/dev/null 2>&1 && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing $(PODMAN_PACKAGES)"; \
		apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(PODMAN_PACKAGES); \
	else \
		echo "The container tests need root and, on Debian: apt-get install $(PODMAN_PACKAGES)" >&2; exit 1; \
	fi
