# The commands of HashiraMart. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
PYTHON ?= python3
BIN := .venv/bin
# Where it is set, every process compiles all that it imports, which takes longer than what most of them do.
unexport PYTHONDONTWRITEBYTECODE

FILE ?= datasets/online_retail_ii.csv.gz
MODEL ?= recommender
BACKUP ?= hashiramart-backup.tar.gz
DURATION ?= 75
WEEKS ?= 10
SHOPPERS ?= 800
SEED ?= 1
# Values reach the commands through the environment, as they were typed: no quote, blank or dollar sign in them is the shell's.
export SALES_FILE = $(value FILE)
export SALES_MAPPING = $(value MAPPING)
export ACCOUNT_EMAIL = $(value EMAIL)
export MODEL_NAME = $(value MODEL)
export BACKUP_FILE = $(value BACKUP)
export SIMULATED_WEEKS = $(value WEEKS)
export SIMULATED_SHOPPERS = $(value SHOPPERS)
export SIMULATION_SEED = $(value SEED)
export CHAOS_SECONDS = $(value DURATION)

.PHONY: help setup demo up console console-build down status logs admin land etl retrain train tune retention pull simulate chaos check test fuzz coverage measures lint format bench conformance proto baseline \
  lock audit sbom clients test-clients certs grpcurl clean env rotate backup restore test-compose test-cold

help: ## list the commands
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 21

setup: ## install what is missing, into the project's own folders
	@$(PYTHON) -m stack.install

demo: setup ## set up a whole shop: raw sales, clean data, models, products, accounts
	@$(BIN)/python -m stack demo

up: setup ## start engines, services and gateway, and print their addresses; S="auth gateway" starts these and what they need
	@$(BIN)/python -m stack up $(S)

console: setup ## serve the console for development, against the running stack
	@$(BIN)/python -m stack.console dev

console-build: setup ## build the console, which `make up` does too, if it is missing or stale
	@$(BIN)/python -m stack.console

down: ## stop them; their data stays
	@[ ! -x $(BIN)/python ] || $(BIN)/python -m stack down

status: setup ## show the state, address, pid and memory of each process
	@$(BIN)/python -m stack status

logs: setup ## follow the logs; S=catalog follows one alone
	@$(BIN)/python -m stack logs $(S)

admin: setup ## create an admin: make admin EMAIL=boss@example.com, then type a password
	@$(BIN)/python -m stack run auth $(BIN)/python -m services.auth.admin create-admin --email "$$ACCOUNT_EMAIL"

land: setup ## put raw sales into HDFS: the demo's, or FILE=sales.csv MAPPING=shop.yaml
	@$(BIN)/python -m stack land "$$SALES_FILE" $${SALES_MAPPING:+"$$SALES_MAPPING"}

etl: setup ## clean the raw data on YARN and show progress: make etl EMAIL=boss@example.com, then type the password
	@$(BIN)/python -m stack run jobs $(BIN)/python -m services.jobs.terminal --email "$$ACCOUNT_EMAIL"

retrain: setup ## submit a job that trains one model: make retrain MODEL=forecaster EMAIL=boss@example.com, then type the password
	@$(BIN)/python -m stack run jobs $(BIN)/python -m services.jobs.terminal --email "$$ACCOUNT_EMAIL" --train "$$MODEL_NAME"

train: setup ## train both models on the clean data, evaluate and promote them; unchanged stages are skipped
	@$(BIN)/python -m stack up mlflow
	@$(BIN)/python -m stack train dvc repro
	@$(BIN)/python -m stack train dvc push

tune: export TRIALS ?= 20
tune: setup ## search hyperparameters on the validation windows: make tune MODEL=recommender TRIALS=50 ends with a diff of params.yaml
	@$(BIN)/python -m stack up mlflow
	@$(BIN)/python -m stack train dvc repro get_cleaned_data
	@$(BIN)/python -m stack train python -m ml.pipeline.tune "$$MODEL_NAME" --trials "$$TRIALS"

retention: setup ## delete what has expired: earlier snapshots, data and models, logs; the jobs worker does so once a day
	@$(BIN)/python -m stack run jobs-worker $(BIN)/python -m services.jobs.retention

pull: setup ## fetch the data and models of the last training from the store
	@$(BIN)/python -m stack train dvc pull

simulate: setup ## let simulated shoppers use the running shop, and hold what it learns against the truth: WEEKS=10 SHOPPERS=800 SEED=1
	@$(BIN)/python -m simulate --weeks "$$SIMULATED_WEEKS" --shoppers "$$SIMULATED_SHOPPERS" --seed "$$SIMULATION_SEED"

chaos: setup ## kill, pause and starve the processes of a stack of its own under load, and count what is lost: DURATION=75 SEED=1
	@$(BIN)/python -m chaos --duration "$$CHAOS_SECONDS" --seed "$$SIMULATION_SEED"

check: lint ## lint, and every test that needs no engine: an answer within a minute
	@$(BIN)/pytest -n auto --maxprocesses 8 --quiet -m "not engine and not containers"

test: lint ## lint, then every test, on engines, ports and folders of its own
	@$(PYTHON) -m stack.install tests
	@$(BIN)/python -m stack install
	@# A module's tests run in one process, in their order: they share engines.
	@$(BIN)/pytest -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder --durations 20

fuzz: setup ## look for input that breaks a reader or an RPC: 20,000 examples for each, or EXAMPLES=1000000
	@FUZZ_EXAMPLES=$(or $(EXAMPLES),20000) $(BIN)/pytest -n auto --maxprocesses 8 tests/fuzz tests/mesh/transport/test_fuzz.py tests/gateway/test_referee.py $(wildcard tests/services/*/test_any_message.py)

coverage: setup ## measure branch coverage of the tests that need no engine; all of them with MARKS="not containers"
	@$(BIN)/pytest -n auto --maxprocesses 8 --quiet -m "$(or $(MARKS),not engine and not containers)" --cov --cov-branch --cov-report term:skip-covered

measures: setup ## print measures of the code: function lengths, import chains, try blocks
	@$(BIN)/python -m tests.style.measures

lint: setup ## style, types, who may import whom, the contracts, whether gen/ is fresh, and the console's types and units
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --quiet --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python proto/generate.py --check
	@$(BIN)/buf lint proto
	@$(BIN)/buf format --exit-code --diff proto
	@$(BIN)/buf breaking proto --against proto/baseline.binpb
	@$(BIN)/python -m stack.console check

grpcurl: setup ## build grpcurl into .local/tools/bin
	@$(PYTHON) -m stack.install grpcurl

format: setup ## format the code
	@$(BIN)/ruff check --quiet --fix
	@$(BIN)/ruff format

proto: setup ## generate gen/ from the contracts
	@$(BIN)/python proto/generate.py

baseline: proto ## make today's contracts the baseline that later ones may not break
	@$(BIN)/buf build proto --exclude-source-info --output proto/baseline.binpb

LOCKED = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes $(UPGRADE)
lock: setup ## write requirements/ from pyproject.toml; newest versions with UPGRADE=--upgrade
	@$(LOCKED) --group setup --output-file requirements/setup.txt
	@$(LOCKED) --group build --output-file requirements/build.txt
	@$(LOCKED) --group mlflow --output-file requirements/mlflow.txt
	@$(LOCKED) --group spark --output-file requirements/spark.txt
	@$(LOCKED) --group train --output-file requirements/train.txt
	@$(LOCKED) pyproject.toml --output-file requirements/mesh.txt
	@$(LOCKED) pyproject.toml --group models --output-file requirements/models.txt
	@$(LOCKED) pyproject.toml --group dev --output-file requirements/dev.txt

audit: setup ## look for known vulnerabilities of the locked Python packages; exits with 69 if the database cannot be reached
	@$(BIN)/python -m stack.audit

sbom: setup ## write the list of parts of each role, in CycloneDX, to .local/sbom
	@$(BIN)/python -m stack.audit sbom

clients: setup ## generate and build the clients in Go, Java, Rust and TypeScript, and Python's wheel; says which it skipped and why
	@$(BIN)/python -m clients.build
	@$(BIN)/uv build --quiet --wheel --no-build-isolation --python $(BIN)/python --out-dir .local/clients clients/python
	@echo "Python: built, in .local/clients"

test-clients: setup ## test that the client of each language does the same, without TLS and with it
	@$(BIN)/pytest --verbose --tb short -rs -m clients tests/clients/test_conformance.py

conformance: setup ## test the native transport: the mesh's tests on it, any bytes for a minute, grpc-go's cases, connectconformance and h2spec
	@MESH_TRANSPORT=native $(BIN)/pytest tests/mesh --quiet
	@FUZZ_EXAMPLES=1000 $(BIN)/pytest tests/mesh/transport/test_fuzz.py --quiet
	@$(BIN)/python -m tests.mesh.transport.soak
	@$(BIN)/python -m tests.mesh.transport.interop
	@$(BIN)/python -m tests.mesh.transport.conformance
	@$(BIN)/python -m tests.mesh.transport.h2spec

bench: setup ## benchmark against a Go grpc-gateway, a monolith and DuckDB; takes minutes and wants a quiet machine
	@$(BIN)/python -m benchmarks

env: ## write settings and secrets for the containers (docs/compose.md): compose/.env, compose/secrets
	@$(PYTHON) -m stack.containers.environment

rotate: ## renew the certificates of the running containers, one after the other
	@compose/rotate

backup: ## save all data of the containers, which stop meanwhile: make backup BACKUP=shop.tar.gz
	@compose/carry save "$$BACKUP_FILE"

restore: ## restore a backup into an empty installation
	@compose/carry load "$$BACKUP_FILE"

test-compose: setup ## build the images and test both Compose stacks; needs a Docker engine, 12 GB of disk and 20 minutes
	@docker compose version >/dev/null 2>&1 && docker version >/dev/null 2>&1 || { echo "This needs a Docker engine with Compose, and there is none."; exit 1; }
	@$(BIN)/pytest --exitfirst --verbose --capture=no -m containers tests/stack/containers/test_stacks.py tests/stack/containers/test_foreign.py

test-cold: setup ## test the demo in a bare container, with each store; needs a Docker engine and half an hour
	@docker version >/dev/null 2>&1 || { echo "This needs a Docker engine, and there is none."; exit 1; }
	@$(BIN)/pytest --exitfirst --verbose --capture=no -m containers tests/stack/containers/test_cold.py

certs: setup ## issue certificates for TLS between services, in .local/certs; RENEW=1 renews all, from the same authority
	@$(BIN)/python -m mesh.certificates $(if $(RENEW),--renew)

clean: down ## remove data, logs, secrets and the environment: everything that is not in git
	@rm -rf .local .venv data models registered .schemathesis .mypy_cache .ruff_cache .import_linter_cache .hypothesis clients/java/gen clients/java/target \
	  clients/typescript/*/dist clients/typescript/*/node_modules console/dist console/node_modules console/src/gen
