# offdag: `make` lists the targets. Each target installs what it needs.
.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
# The dbt target of the shop, overridden by `make build TARGET=ci` or DBT_TARGET.
TARGET ?= $(or $(DBT_TARGET),dev)
# The environment that offdag records; by default the target's name.
ENVIRONMENT ?= $(TARGET)
WEEK ?= 4
FUZZ_SECONDS ?= 60
DATABASE := inventory_project/data/inventory_$(TARGET).duckdb
# A target without a database is loaded with sample data first; never prod.
SAMPLE := $(if $(filter prod,$(TARGET)),,$(DATABASE))
OFFDAG := PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/offdag
RUN := $(OFFDAG) run --environment $(ENVIRONMENT) --project-dir inventory_project --
MEASURED := MEASURED_BY="$(CURDIR)/pyproject.toml" COVERAGE_FILE="$(CURDIR)/.offdag/coverage/data" PYTHONPATH="$(CURDIR)/tests/support/measured"
SQL := inventory_project/models inventory_project/analyses inventory_project/tests monitor_project/models monitor_project/tests

.PHONY: fuzz oracle orchestrators reviews help demo test build load monitor build-then-monitor ci schedule report docs lint format bench sim fixtures golden clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.installed ## Four weeks of the shop: builds, failures, Slack messages, the report (about a minute)
	@$(OFFDAG) demo

test: $(VENV)/.installed ## Tests of both dbt projects and of offdag; ALL=1 adds the slow ones; COVERAGE=1 also holds the floor of pyproject.toml
	@rm -rf .offdag/coverage
	@$(if $(COVERAGE),$(MEASURED)) PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(if $(ALL)$(COVERAGE)$(PYTEST_ARGS),,-m "not slow") $(PYTEST_ARGS)
	@$(if $(COVERAGE),$(BIN)/coverage combine --quiet && $(BIN)/coverage report)

build: $(VENV)/.installed $(SAMPLE) ## Build the shop and collect the run; TARGET=dev|ci|prod
	@$(RUN) dbt build --target $(TARGET)

load: $(VENV)/.installed ## Load a week of sample data into a target; WEEK=1..4 TARGET=dev|ci|prod
	@$(BIN)/python -m offdag.greenery generate --out .offdag/raw --week $(WEEK)
	@$(BIN)/python -m offdag.greenery load .offdag/raw/week=$(WEEK) --target $(TARGET)

$(DATABASE): | $(VENV)/.installed
	@echo "There is no $@ yet: loading the sample data of week $(WEEK)."
	@$(MAKE) --no-print-directory load TARGET=$(TARGET) WEEK=$(WEEK)

monitor: $(VENV)/.installed ## Build the monitor, send undelivered notifications, show open incidents
	@$(OFFDAG) monitor
	@$(OFFDAG) notify
	@$(OFFDAG) incidents

build-then-monitor: TARGET = $(or $(DBT_TARGET),prod)
build-then-monitor: $(VENV)/.installed ## For schedulers: freshness, build, monitor, notify, report (offdag job)
	@$(OFFDAG) job --environment $(ENVIRONMENT) --project-dir inventory_project -- dbt build --target $(TARGET)

ci: $(VENV)/.installed ## Review a change: build with target ci, compare with production; CI_ARGS="--fail-on rows"
	@$(MAKE) --no-print-directory load TARGET=ci
	@$(OFFDAG) ci --project-dir inventory_project --from prod --to ci $(CI_ARGS)

schedule: ## Print the crontab lines for this checkout: nightly build with monitor, separate hourly monitor
	@echo '# Secrets: lines like "export OFFDAG_SLACK_BOT_TOKEN=..." in ~/.offdag.env, mode 600. Log rotation: docs/examples/logrotate.conf'
	@for entry in '15 4 * * *|build-then-monitor' '45 * * * *|monitor'; do \
	  printf "%s  cd '%s' && { test ! -r ~/.offdag.env || . ~/.offdag.env; } && mkdir -p .offdag && make %s >> .offdag/%s.log 2>&1\n" \
	    "$${entry%%|*}" "$$(pwd | sed "s/'/'\\\\''/g; s/%/\\\\%/g")" "$${entry##*|}" "$${entry##*|}"; \
	done

report: $(VENV)/.installed ## Render the report of the last monitor run
	@$(OFFDAG) report

docs: $(VENV)/.installed ## Build the documentation as a site in .offdag/site, with the monitor's dbt docs and their lineage
	@$(BIN)/python tools/pages/configuration.py
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir .offdag/site
	@$(OFFDAG) monitor
	@cd .offdag/monitor_target/project && OFFDAG_HISTORY="$${OFFDAG_HISTORY:-$(CURDIR)/.offdag/history}" \
	  OFFDAG_MONITOR_DATABASE="$${OFFDAG_MONITOR_DATABASE:-$(CURDIR)/.offdag/monitor.duckdb}" \
	  OFFDAG_OBSERVED_TABLES="product_inventory_snapshot|f_product_weekly_funnel" \
	  "$(CURDIR)/$(BIN)/dbt" --quiet docs generate --static --profiles-dir . --target-path "$(CURDIR)/.offdag/docs"
	@mkdir -p .offdag/site/dbt && cp .offdag/docs/static_index.html .offdag/site/dbt/index.html
	@echo "the site is .offdag/site/index.html, the monitor's dbt docs .offdag/site/dbt/index.html"

lint: $(VENV)/.installed ## Run ruff, mypy, sqlfluff and yamllint, without database or network
	@$(BIN)/ruff check tools tests
	@$(BIN)/ruff format --check --quiet tools tests
	@$(BIN)/mypy
	@# Without snapshots: sqlfluff's Jinja does not support the snapshot tag.
	@$(BIN)/sqlfluff lint --disable-progress-bar $(SQL)
	@$(BIN)/yamllint --strict .

format: $(VENV)/.installed ## Sort imports and format the Python code
	@$(BIN)/ruff check --fix --quiet tools tests
	@$(BIN)/ruff format tools tests

bench: $(VENV)/.installed ## Measure offdag's CPU seconds and memory; BENCH_ARGS="builds --rounds 5", or --full for the largest sizes
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m bench $(BENCH_ARGS)

sim: $(VENV)/.installed ## Kills, faults, damaged files and fifty years from a seed, and the oracle (over an hour); SIM_ARGS="years --cases 4"
	@$(if $(SIM_ARGS),,$(MAKE) --no-print-directory oracle)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m sim $(SIM_ARGS)

fuzz: $(VENV)/.installed ## Fuzz artifacts, messages, seeds and flags with atheris, where it installs (4 minutes); FUZZ_SECONDS=600
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/python -m pip install --quiet atheris==3.0.0
	@for target in artifact message seed flags; do $(BIN)/python -m sim.fuzz $$target --seconds $(FUZZ_SECONDS) || exit 1; done

oracle: $(VENV)/.installed ## Compare the marts of 1,900 generated builds with an independent calculation (about a minute)
	@PATH="$(CURDIR)/$(BIN):$$PATH" OFFDAG_TEST_PROJECTS=200 $(BIN)/python -m pytest tests/histories/test_oracle.py

orchestrators: $(VENV)/.installed ## Run docs/examples with Airflow, Cosmos and Dagster in separate virtual environments (about 5 minutes)
	@PATH="$(CURDIR)/$(BIN):$$PATH" OFFDAG_TEST_ORCHESTRATORS=1 $(BIN)/python -m pytest tests/integration/test_orchestrators.py

reviews: $(VENV)/.installed ## Replay all pull requests of tests/fixtures/reviews with real dbt (about 3 minutes)
	@PATH="$(CURDIR)/$(BIN):$$PATH" OFFDAG_TEST_REVIEWS=1 $(BIN)/python -m pytest -n 2 tests/integration/test_reviews.py

fixtures: $(VENV)/.installed ## Record the artifacts of dbt 1.7 to 1.11 again, each version in a separate virtual environment (about 5 minutes)
	@$(BIN)/python tests/fixtures/record.py

golden: $(VENV)/.installed ## Write the tests' golden files again; review the diff before committing
	@PATH="$(CURDIR)/$(BIN):$$PATH" OFFDAG_WRITE_GOLDEN=1 OFFDAG_TEST_REVIEWS=1 $(BIN)/python -m pytest -m golden

clean: ## Remove everything the targets created, including the history in .offdag; keeps the virtual environment
	rm -rf .offdag inventory_project/data inventory_project/target inventory_project/logs monitor_project/target monitor_project/logs logs

# The first Python from 3.10 to 3.13 that can create virtual environments.
$(VENV)/.installed: requirements.lock pyproject.toml
	@set -e; for python in python3.13 python3.12 python3.11 python3.10 python3; do \
	  if $$python -c 'import ensurepip, sys, venv; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "error: no Python from 3.10 to 3.13 with the venv module" >&2; \
	  echo "where: PATH" >&2; \
	  echo "next:  apt-get install python3 python3-venv    (Debian and Ubuntu; elsewhere your system's packages)" >&2; exit 2; \
	fi; \
	echo "Installing into $(VENV) with $$($$found --version): about 1 GB, one to three minutes, once."; \
	test -x $(BIN)/python || $$found -m venv $(VENV); \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .; \
	$(BIN)/python -m pip check >/dev/null; \
	touch $@
