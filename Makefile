# Everything a developer does, by name. `make help` lists it.
SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
# Tests and benchmarks start hundreds of processes; without bytecode each compiles what it imports.
export PYTHONDONTWRITEBYTECODE :=
# The newest Python that has everything a virtual environment needs; an existing .venv is kept.
PYTHON ?= $(shell for name in python3.14 python3.13 python3.12 python3.11 python3; do \
  $$name -c 'import ensurepip, venv, sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' \
    >/dev/null 2>&1 && echo $$name && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DATA_DIR ?= data
PORT ?= 8000
SOURCE ?=
MODEL ?=

.PHONY: help setup check format test test-lowest test-compose test-machines base-images test-fast test-real fuzz fuzz-parsers hostile soak cluster steady demo up stack house lost-tests mutants coverage async-client lock audit sbom bench bench-embedder bench-ingest bench-memory bench-redis bench-api bench-readiness bench-overload bench-attacks bench-ann bench-quality bench-finetune bench-web screenshots clean

help: ## List these commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

setup: $(STAMP) ## Install everything into .venv

$(STAMP): pyproject.toml constraints.txt
	@started=$$SECONDS log=$(VENV)/setup.log; \
	fail() { echo "$$1: $$(devstack/last_words.sh $$log). Check the network and the disk, then run the same command again; all that was said is in $$log."; exit 1; }; \
	test -x $(BIN)/python || [ -n '$(PYTHON)' ] || { echo "No Python 3.11 to 3.14 with venv was found. Debian and Ubuntu: sudo apt install python3-venv. Or name one: make $(or $(MAKECMDGOALS),setup) PYTHON=/path/to/python3"; exit 1; }; \
	mkdir -p $(VENV) || exit 1; \
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) >$$log 2>&1 || fail "No virtual environment could be made in $(VENV)"; \
	echo "Installing packages into $(VENV) ($$($(BIN)/python --version)) …"; \
	{ $(BIN)/python -m pip install --quiet --disable-pip-version-check uv && \
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'; } >$$log 2>&1 \
	  || fail "The packages could not be installed"; \
	$(BIN)/python -m devstack.redis_binary && \
	touch $@ && echo "Packages: $$((SECONDS - started)) s"

check: setup ## Style, types, import rules and the OpenAPI document
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.tools.openapi_lint

format: setup ## Format the code and fix lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: setup ## Set up and run every test
	$(BIN)/pytest

test-lowest: setup ## Run the tests with the oldest packages that pyproject.toml allows, in .venv-lowest
	$(BIN)/python -m venv --clear $(VENV)-lowest
	$(BIN)/uv pip install --quiet --python $(VENV)-lowest/bin/python --resolution lowest-direct --editable '.[standalone,training]'
	$(BIN)/uv pip install --quiet --python $(VENV)-lowest/bin/python --editable '.[dev]'
	$(VENV)-lowest/bin/python -m devstack.redis_binary
	$(VENV)-lowest/bin/pytest

test-fast: setup ## Run the tests that need neither servers nor files of models
	$(BIN)/pytest -m unit tests/unit

test-real: setup ## Run the contract suites, also against real servers (PETSEARCH_TEST_…_URL)
	PETSEARCH_TEST_REAL=1 $(BIN)/pytest tests/contract

test-compose: setup ## Test the compose files on a Docker engine [builds the images; SMOKE=1: the shorter ones]
	@docker compose version >/dev/null && docker info >/dev/null || { echo "No Docker engine with the compose plugin responds."; exit 1; }
	PETSEARCH_TEST_COMPOSE=1 $(BIN)/pytest -n0 --durations=0 $(if $(SMOKE),-m smoke) tests/compose

test-machines: ## Try `make demo` and `make test` on bare machines, in containers [RELEASES=…] [COMMANDS=…]
	@tests/machines/run.sh

base-images: ## Make stand-ins for the base images from Debian's packages, where no registry answers
	@tests/compose/stand_ins/build.sh

fuzz: setup ## Test the API against its OpenAPI document [CASES=…]
	$(BIN)/python -m tests.fuzz $(if $(CASES),--cases $(CASES))

fuzz-parsers: setup ## Try each parser on generated input, kept in .hypothesis [MINUTES=… for each]
	@$(BIN)/python -m tests.tools.fuzz_parsers $(or $(MINUTES),10)

hostile: setup ## Send more than 200 hostile files to a server by every way [SHAPE=standalone|distributed] [SEED=…] [KIND=…]
	$(BIN)/python -m tests.hostile_files $(if $(SHAPE),--shape $(SHAPE)) $(if $(SEED),--seed $(SEED)) $(if $(KIND),--kind $(KIND))

steady: setup ## Run tests beside other load [TIMES=…] [FILES=…]
	@$(BIN)/python -m tests.tools.steady $(or $(TIMES),10) $(FILES)

soak: setup ## Ingest 2,000 photos while services fail [PHOTOS=…] [KILLS=…] [SEED=…]
	$(BIN)/python -m tests.fault.soak $(if $(PHOTOS),--photos $(PHOTOS)) $(if $(KILLS),--kills $(KILLS)) $(if $(SEED),--seed $(SEED))

cluster: setup ## Lose each part of a cluster once; root, a Qdrant server [QDRANT=…] [WHAT=losses|outage|embedders] [OPTIONS=…]
	@unshare --net --mount --pid --fork --mount-proc --kill-child \
	  $(BIN)/python -m tests.cluster.$(or $(WHAT),losses) --qdrant '$(QDRANT)' $(OPTIONS)

demo: setup ## Serve a demo catalogue [SOURCE=oxford-pets | SOURCE=<folder>] [MODEL=…] [PORT=…]
	@exec $(BIN)/petsearch demo --data-dir '$(DATA_DIR)/$(or $(subst /,_,$(SOURCE)),sample)' \
	  --source '$(SOURCE)' --model '$(MODEL)' --port $(PORT)

up: ## Build and start everything with Docker, until page and API answer [WORKERS=…]
	@infra/up.sh $(if $(WORKERS),--scale worker=$(WORKERS))

stack: setup ## The distributed shape without Docker: services as processes [APIS=…] [EMBEDDERS=…] [WORKERS=…] [PORT=…]
	@exec $(BIN)/python -m devstack --port $(PORT) $(if $(APIS),--apis $(APIS)) \
	  $(if $(EMBEDDERS),--embedders $(EMBEDDERS)) $(if $(WORKERS),--workers $(WORKERS))

house: setup ## Print packages, lengths of functions and statements, with their limits
	$(BIN)/python -m tests.tools.house

lost-tests: setup ## Compare the tests with those of an old commit [SINCE=…]
	$(BIN)/python -m tests.tools.lost_tests $(SINCE)

mutants: setup ## Check that tests notice seeded faults
	$(BIN)/python -m tests.tools.mutants

coverage: setup ## Run every test and print branch coverage by package, of subprocesses too
	$(BIN)/python -m tests.tools.coverage_by_package

async-client: setup ## Write the asynchronous twin of the Python client from the synchronous one
	$(BIN)/python -m tests.tools.async_client

lock: setup ## Resolve the newest versions that work together into constraints.txt and infra/images
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	  --no-annotate --no-header --upgrade --quiet --output-file constraints.txt
	infra/images/lock.sh

audit: setup ## Look up known vulnerabilities of the pinned packages on the package index
	$(BIN)/uv tool run pip-audit --requirement constraints.txt --no-deps --disable-pip --strict --progress-spinner off

sbom: setup ## Write sbom.json, what is installed as CycloneDX
	$(BIN)/uv tool run --from cyclonedx-bom cyclonedx-py environment --no-validate --output-file sbom.json $(BIN)/python

bench: setup ## Measure ingest and search against bare loops (MODEL=, DATASET=)
	$(BIN)/python -m bench.ingest_and_search $(if $(MODEL),--model $(MODEL)) $(if $(DATASET),--dataset $(DATASET))

bench-ingest: setup ## Measure ingest against bare loops and the ancestor's method (PHOTOS=, MODEL=)
	$(BIN)/python -m bench.ingest $(if $(PHOTOS),--photos $(PHOTOS)) $(if $(MODEL),--model $(MODEL))

bench-memory: setup ## Measure a worker's memory
	$(BIN)/python -m bench.worker_memory all

bench-redis: setup ## Measure Redis' memory for a job of a million items
	$(BIN)/python -m bench.redis_memory

bench-embedder: setup ## Measure the embedder service against bare loops (MODEL=)
	$(BIN)/python -m bench.embedder $(if $(MODEL),--model $(MODEL))

bench-api: setup ## Measure the search API under load and its own CPU time (POINTS=, JSON=1)
	$(BIN)/python -m bench.api $(if $(POINTS),--points $(POINTS)) $(if $(JSON),--json)

bench-readiness: setup ## Measure probes of a loaded server beside an idle one (SHAPE=, DURATION=, MODEL=)
	$(BIN)/python -m bench.readiness $(if $(SHAPE),--shape $(SHAPE)) $(if $(DURATION),--seconds $(DURATION)) $(if $(MODEL),--model $(MODEL))

bench-overload: setup ## Send ten times what a server can do (SHAPE=, KIND=, DURATION=, MODEL=)
	$(BIN)/python -m bench.overload $(if $(SHAPE),--shape $(SHAPE)) $(if $(KIND),--kind $(KIND)) $(if $(DURATION),--seconds $(DURATION)) $(if $(MODEL),--model $(MODEL))

bench-attacks: setup ## Attack servers of both shapes beside idle ones (SHAPE=, RUNS=, DURATION=)
	$(BIN)/python -m bench.attacks $(if $(SHAPE),--shape $(SHAPE)) $(if $(RUNS),--runs $(RUNS)) $(if $(DURATION),--seconds $(DURATION))

bench-ann: setup ## Measure recall of approximate search on photos (MODEL=, DATASET=, POINTS=, CACHE=, JSON=1)
	$(BIN)/python -m bench.ann $(if $(MODEL),--model $(MODEL)) $(if $(DATASET),--dataset $(DATASET)) \
	  $(if $(POINTS),--points $(POINTS)) $(if $(CACHE),--cache $(CACHE)) $(if $(JSON),--json)

bench-web: setup ## Load the page over a slow connection, and scroll through 5,000 photos (PHOTOS=)
	$(BIN)/python -m bench.page_load
	$(BIN)/python -m bench.web_scrolling $(if $(PHOTOS),--photos $(PHOTOS))

bench-quality: setup ## Measure rankings, composed queries and confidences on photos (MODEL=, DATASET=, CACHE=, JSON=1)
	$(BIN)/python -m bench.quality_run $(if $(MODEL),--model $(MODEL)) $(if $(DATASET),--dataset $(DATASET)) \
	  $(if $(CACHE),--cache $(CACHE)) $(if $(JSON),--json)

bench-finetune: setup ## Measure how much time the frozen-prefix cache saves per epoch
	$(BIN)/python -m bench.finetune

screenshots: setup ## Retake the pictures in docs/screenshots
	$(BIN)/python -m tests.screenshots

clean: ## Remove everything installed and built (data is kept)
	rm -rf $(VENV) $(VENV)-lowest .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
