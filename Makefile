# Darkroom: `make run` runs it, `make test` checks it. Nothing has to be installed first but Python, make and git.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

VENV := .venv
PYTHON := $(VENV)/bin/python
UV := $(VENV)/bin/uv

# a slow or moody package index: few fetches at once, long patience, and three attempts that go on where the last ended
export UV_HTTP_TIMEOUT ?= 300
export UV_HTTP_RETRIES ?= 10
export UV_CONCURRENT_DOWNLOADS ?= 8
define install
	for attempt in 1 2 3; do \
		$(UV) pip install --python $(PYTHON) --require-hashes --no-deps -r $(1) && exit 0; \
		echo "Fetching packages failed (attempt $$attempt of 3)." >&2; sleep 5; \
	done; exit 1
endef

.PHONY: help
help: ## Show this help
	@echo "Darkroom. Type one of:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "Settings for make run: PHOTOS=<folder> WAIT=exit PORT=8000 EVENTS_PORT=8001 VAR_DIR=<folder>"
	@echo "  DARKROOM_ADMIN_EMAIL, DARKROOM_ADMIN_PASSWORD; the others are in .env.example."

.PHONY: run
run: $(VENV)/.production ## Run Darkroom: services, web server and workers; takes in PHOTOS=<folder>
	@$(PYTHON) manage.py run

.PHONY: test
test: lint check pytest ## Run every check and every test

.PHONY: lint
lint: $(VENV)/.test ## Check style, names and the direction of imports
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports

.PHONY: format
format: $(VENV)/.test ## Rewrite the code in the house's style
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

.PHONY: check
check: export DARKROOM_ENV_FILE =
check: $(VENV)/.test ## Check migrations, production settings and the API's schema
	@random() { $(PYTHON) -c 'import secrets; print(secrets.token_urlsafe(64))'; }; \
	export SECRET_KEY=$$(random) JWT_SIGNING_KEY=$$(random) INTERNAL_TOKEN=$$(random) ALLOWED_HOSTS=photos.example.org \
		EMAIL_URL=smtp+tls://mail.example.org:587 PUBLIC_URL=https://photos.example.org \
		DATABASE_URL=postgresql://nobody@127.0.0.1:1/none REDIS_URL=redis://127.0.0.1:1/0; \
	set -x; \
	$(PYTHON) manage.py check --deploy --fail-level WARNING --settings config.settings.production
	$(PYTHON) manage.py makemigrations --check --dry-run --settings config.settings.test
	$(PYTHON) manage.py spectacular --validate --fail-on-warn --file /dev/null --settings config.settings.test

.PHONY: pytest
pytest: $(VENV)/.test ## Run the tests alone; ARGS="-k upload" chooses among them
	$(PYTHON) -m pytest $(ARGS)

.PHONY: schemathesis
schemathesis: $(VENV)/.test ## Call every operation of a real server as the API's schema says, and as it says not to
	$(PYTHON) -m pytest -s tests/gallery/test_schema_calls.py tests/gallery/test_schema_calls_sabotage.py $(ARGS)

.PHONY: client
client: $(VENV)/.test ## Build the Python client and the command `darkroom`: build/client/*.whl
	@$(PYTHON) client/build.py build/client

.PHONY: faults
faults: $(VENV)/.test ## Prove that faults lose nothing; FAULTS=<names> SEED=1 COUNT=500 PHOTOS=<folder>
	PYTHONPATH=tests $(PYTHON) -m faults --faults "$(FAULTS)" --seed $(or $(SEED),1) --count $(or $(COUNT),500) \
		$(if $(PHOTOS),--photos "$(PHOTOS)")

.PHONY: soak
soak: $(VENV)/.test ## Watch the memory of every process under uploads and mild faults; MINUTES=30 SEED=1 PHOTOS=<folder>
	PYTHONPATH=tests $(PYTHON) -m faults --soak $(or $(MINUTES),30) --seed $(or $(SEED),1) \
		$(if $(PHOTOS),--photos "$(PHOTOS)")

.PHONY: search-times
search-times: $(VENV)/.test ## Time every search among a million photos; COUNT=1000000 REPORT=<file>
	PYTHONPATH=tests:. $(PYTHON) -m search_times --photos $(or $(COUNT),1000000) $(if $(REPORT),--report "$(REPORT)")

.PHONY: fuzz
fuzz: $(VENV)/.test ## Try broken files on the engines; PHOTOS=<folder> CORPUS=<folder> SEED=1 COUNT=5000
	PYTHONPATH=.:tests DJANGO_SETTINGS_MODULE=config.settings.local PHOTOS="$(PHOTOS)" CORPUS="$(CORPUS)" SEED="$(SEED)" \
		COUNT="$(COUNT)" PROCESSES="$(PROCESSES)" REPLAY="$(REPLAY)" $(PYTHON) tests/fuzz/fuzz.py

.PHONY: hostile
hostile: $(VENV)/.test ## Measure what one hostile file in 500 costs the other photos; COUNT=500 PHOTOS=<folder>
	COUNT="$(COUNT)" PHOTOS="$(PHOTOS)" $(PYTHON) -m pytest -s tests/processing/hostile_throughput.py

.PHONY: services-start services-stop services-status
services-start: $(VENV)/.production ## Start the embedded PostgreSQL and Redis alone
services-stop: $(VENV)/.production ## Stop them
services-status: $(VENV)/.production ## Say whether they run
services-start services-stop services-status:
	@$(PYTHON) manage.py services $(@:services-%=%)

.PHONY: install
install: $(VENV)/.test ## Install everything that run and test need into .venv

.PHONY: lock
lock: $(UV) ## Resolve requirements/*.in anew; UPGRADE=--upgrade takes the newest versions
	@compile() { $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes $(UPGRADE) \
		--override requirements/overrides.txt "$$@"; }; \
	compile requirements/base.in -o requirements/base.txt; \
	compile requirements/production.in -c requirements/base.txt -o requirements/production.txt; \
	compile requirements/test.in -c requirements/base.txt -o requirements/test.txt

# --strict: a package that the database does not know, or could not be asked for, is no clean one. An advisory that does
# not concern us is named here as --ignore-vuln ID, with its reason; there is none now.
.PHONY: vulnerabilities
vulnerabilities: $(VENV)/.test ## Ask PyPI's advisories about every locked package
	$(VENV)/bin/pip-audit --strict --require-hashes --disable-pip -r requirements/production.txt -r requirements/test.txt

.PHONY: clean
clean: ## Remove what tools left behind; photos, database and .venv stay
	rm -rf .pytest_cache .ruff_cache .import_linter_cache .hypothesis build staticfiles
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# each stamp is younger than the lock that it was made from, so a second run has nothing to do
$(VENV)/.production: requirements/production.txt $(UV)
	$(call install,requirements/production.txt)
	@touch $@

$(VENV)/.test: requirements/test.txt $(UV)
	$(call install,requirements/test.txt)
	@touch $@ $(VENV)/.production

$(UV): requirements/uv.txt requirements/bootstrap.py
	@for candidate in python3.11 python3.12 python3.13 python3; do \
		if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "Making $(VENV) with $$($$candidate --version)."; \
			$$candidate requirements/bootstrap.py $(VENV); touch $@; exit 0; \
		fi; \
	done; \
	echo "Darkroom needs Python 3.11 or newer, and found none." >&2; exit 1
