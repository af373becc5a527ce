# Everything one does with HashiraMart. `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
PYTHON ?= python3
BIN := .venv/bin
# Where it is set, each of many processes would compile all that it imports, which takes longer than what most of them do.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo up down status logs admin land etl retrain train pull test lint format bench proto baseline lock certs grpcurl clean \
  env rotate backup restore test-compose test-cold

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 21

setup: ## install what is missing, into folders of the project's own
	@$(PYTHON) -m stack.install

demo: setup ## a whole shop, from nothing: raw sales, clean data, models, products, people; says where to go on
	@$(BIN)/python -m stack demo

up: setup ## start engines, services and gateway, and say where they are; some alone, with what they need, with S="auth gateway"
	@$(BIN)/python -m stack up $(S)

down: ## stop them; what they know stays
	@[ ! -x $(BIN)/python ] || $(BIN)/python -m stack down

status: setup ## each process: its state, address, pid and memory
	@$(BIN)/python -m stack status

logs: setup ## follow what they write; one alone with S=catalog
	@$(BIN)/python -m stack logs $(S)

admin: setup ## make an admin: make admin EMAIL=boss@example.com, then type a password
	@$(BIN)/python -m stack run auth $(BIN)/python -m services.auth.admin create-admin --email '$(EMAIL)'

FILE ?= datasets/online_retail_ii.csv.gz
land: setup ## put raw sales into HDFS: the demo's, or those of FILE=sales.csv
	@$(BIN)/python -m stack land '$(FILE)'

etl: setup ## clean the raw data on YARN and show how it goes: make etl EMAIL=boss@example.com, then type the password
	@$(BIN)/python -m stack run jobs $(BIN)/python -m services.jobs.terminal --email '$(EMAIL)'

MODEL ?= recommender
retrain: setup ## a job that cleans and trains one model: make retrain MODEL=forecaster EMAIL=boss@example.com, then type the password
	@$(BIN)/python -m stack run jobs $(BIN)/python -m services.jobs.terminal --email '$(EMAIL)' --train '$(MODEL)'

train: setup ## train both models on the clean data, judge and promote them; what has not changed is not done again
	@$(BIN)/python -m stack up mlflow
	@$(BIN)/python -m stack train dvc repro
	@$(BIN)/python -m stack train dvc push

pull: setup ## fetch the data and models of the last training, wherever that was: they are in the store
	@$(BIN)/python -m stack train dvc pull

test: lint ## lint, then every test, on engines, ports and folders of its own
	@$(PYTHON) -m stack.install tests
	@$(BIN)/python -m stack install
	@# A module's tests run in one process, in their order: they share engines.
	@$(BIN)/pytest -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

lint: setup ## style, types, who may import whom, the contracts, and whether gen/ is fresh
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --quiet --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python proto/generate.py --check
	@$(BIN)/buf lint proto
	@$(BIN)/buf format --exit-code --diff proto
	@$(BIN)/buf breaking proto --against proto/baseline.binpb

grpcurl: setup ## build grpcurl into .local/tools/bin
	@$(PYTHON) -m stack.install grpcurl

format: setup ## lay the code out as lint wants it
	@$(BIN)/ruff check --quiet --fix
	@$(BIN)/ruff format

proto: setup ## write gen/ from the contracts
	@$(BIN)/python proto/generate.py

baseline: proto ## let today's contracts be what later ones may not break
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

bench: setup ## measure it against a Go grpc-gateway and a monolith; takes minutes and wants a quiet machine
	@$(BIN)/python -m benchmarks

env: ## settings and secrets for the stacks of containers (docs/compose.md): compose/.env, compose/secrets
	@$(PYTHON) -m stack.containers.environment

rotate: ## give the running containers new certificates, one after the other
	@compose/rotate

BACKUP ?= hashiramart-backup.tar.gz
backup: ## put all that the containers know into a file; they stop for as long as it takes: make backup BACKUP=shop.tar.gz
	@compose/carry save '$(BACKUP)'

restore: ## put it back where there is nothing yet
	@compose/carry load '$(BACKUP)'

test-compose: setup ## build the images, run both stacks and try them; needs a Docker engine, 12 GB of disk and most of an hour
	@docker compose version >/dev/null 2>&1 && docker version >/dev/null 2>&1 || { echo "There is no Docker engine with Compose here, and it takes one."; exit 1; }
	@$(BIN)/pytest --exitfirst --verbose --capture=no -m containers tests/stack/containers/test_stacks.py tests/stack/containers/test_foreign.py

test-cold: setup ## run the demo on a bare machine, which is a container, with each store; needs a Docker engine and half an hour
	@docker version >/dev/null 2>&1 || { echo "There is no Docker engine here, and it takes one."; exit 1; }
	@$(BIN)/pytest --exitfirst --verbose --capture=no -m containers tests/stack/containers/test_cold.py

certs: setup ## issue certificates for TLS between services, in .local/certs; all anew, from the same authority, with RENEW=1
	@$(BIN)/python -m mesh.certificates $(if $(RENEW),--renew)

clean: down ## remove everything that is not in git: data, logs, secrets, the environment
	@rm -rf .local .venv data models registered .schemathesis .mypy_cache .ruff_cache .import_linter_cache .hypothesis
