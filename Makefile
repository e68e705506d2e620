# The commands of this project. All of them work from a fresh clone with python3.11 and make.
# What runs and what is tested is installed from lock files, with hashes, into .venv.

# Debian's interpreter first: it is built with profile-guided optimisation, as one built by hand
# often is not, and the proxy is a fifth faster on it.
PYTHON ?= $(or $(shell for each in /usr/bin/python3.11 python3.11; do \
	$$each -c 'import ensurepip' 2>/dev/null && echo $$each && break; done),python3.11)
BIN := .venv/bin
PROVIDER := tests/e2e/provider
# Needed by some tests; without npm they are skipped, with that reason.
ifneq ($(shell command -v npm),)
NPM_PACKAGES := $(PROVIDER)/node_modules/.package-lock.json
endif

.PHONY: demo run test check bench audit
.DELETE_ON_ERROR:

# A demo API behind the gateway, with a demo provider; ready to be tried with curl.
demo: .venv/runtime
	@$(BIN)/python -m demo

# The gateway itself, on SQLite under var/.
run: .venv/runtime
	@$(BIN)/python manage.py quickstart

# The whole suite. What needs a server that is not installed is skipped, with its reason.
test: .venv/dev $(NPM_PACKAGES)
	$(BIN)/python -m pytest -n 2 --dist loadfile

# Style, types, import contracts, and Django's own checks on production-like settings.
check: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	GATEHOUSE_DATA_DIR=var/check GATEHOUSE_PUBLIC_URL=https://gateway.example \
		GATEHOUSE_CONSOLE_HOSTS=console.example \
		$(BIN)/python manage.py check --deploy --fail-level WARNING

# Ours beside Envoy, HAProxy and nginx (Debian's packages haproxy, nginx and wrk are needed);
# prints a table of ratios.
bench: .venv/bench
	$(BIN)/python -m bench

# Known vulnerabilities in what is locked. Asks an advisory service.
audit: .venv/audit
	.venv/audit/bin/pip-audit --require-hashes --disable-pip -r requirements.lock
	.venv/audit/bin/pip-audit --require-hashes --disable-pip -r requirements-dev.lock

.venv/runtime: requirements.lock
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.venv/dev: requirements-dev.lock .venv/runtime
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.venv/bench: requirements-bench.lock .venv/runtime
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.venv/audit: pyproject.toml
	$(PYTHON) -m venv $@
	$@/bin/pip install --quiet --disable-pip-version-check pip-audit
	@touch $@

# The OpenID provider that the end-to-end tests drive.
$(PROVIDER)/node_modules/.package-lock.json: $(PROVIDER)/package-lock.json
	npm ci --prefix $(PROVIDER) --no-audit --no-fund --silent
	@touch $@
