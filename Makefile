# Everything a developer does here. `make help` lists it; each target sets up what it needs, and nothing more.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo demo-stop test e2e slow bench bench-agent bench-alerts bench-operator lint format generate verify images packages lock clean

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
TOOLS := $(BIN)/python -m metricat_tools
CODE := operator/src agent/src cli/src tools/src tests

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

demo: $(READY) ## the main job, end to end, on a cluster of its own (CLUSTER=current: on that of your kubeconfig)
	@$(TOOLS) demo $(if $(CLUSTER),--cluster $(CLUSTER)) $(if $(REGISTRY),--registry $(REGISTRY))

demo-stop: $(READY) ## stop the demo's cluster, and leave nothing behind
	@$(TOOLS) demo --stop

test: $(READY) ## unit, golden and contract tests, and integration tests on a real control plane
	@$(BIN)/pytest -m "not slow" --numprocesses 3 --dist worksteal \
		tests/unit tests/golden tests/contract tests/rules tests/integration $(PYTEST)

e2e: $(READY) ## the demo's claims and the faults to survive as tests, on a cluster with nodes (needs root)
	@$(BIN)/pytest -m "not slow" tests/e2e $(PYTEST)

slow: $(READY) ## each link of the chain broken in turn, TLS, deliveries: what takes minutes of waiting (needs root)
	@$(BIN)/pytest -m slow tests/integration tests/e2e $(PYTEST)

bench: bench-agent bench-alerts bench-operator ## every measurement there is

bench-agent: $(READY) ## the agent against node_exporter, side by side: a table of ratios, then growth over 20,000 scrapes
	@$(TOOLS) bench agent --growth 20000

bench-alerts: $(READY) ## what is unusual and what will be full, on series of which it is known: precision and recall
	@$(TOOLS) bench alerts

bench-operator: $(READY) ## the operator on 1,000 and 5,000 simulated nodes, against a bare loop of the same applies
	@$(TOOLS) bench operator

lint: $(READY) ## style, types, and the arrows of import
	@$(BIN)/ruff check --quiet $(CODE)
	@$(BIN)/ruff format --quiet --check $(CODE)
	@$(BIN)/mypy $(CODE)
	@$(BIN)/lint-imports --no-logo

format: $(READY) ## bring the code into style
	@$(BIN)/ruff check --quiet --fix $(CODE)
	@$(BIN)/ruff format --quiet $(CODE)

generate: $(READY) ## write every generated file anew
	@$(TOOLS) generate

verify: generate ## fail where a generated file is not as its source says
	@changed=$$(git status --porcelain -- crds charts/metricat/crds charts/metricat/dashboards charts/metricat/rules tests/golden docs/reference docs/runbooks docs/alertmanager.md); \
	[ -z "$$changed" ] || { echo "$$changed"; echo 'run `make generate` and commit what it changed' >&2; exit 1; }

images: $(READY) ## build the container images (REGISTRY=host/name pushes them there)
	@$(TOOLS) images $(if $(REGISTRY),--push $(REGISTRY))

packages: $(READY) ## build the agent's wheel into dist/
	@$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist ./agent

lock: $(READY) ## pin the Python packages anew, with hashes
	@for name in operator agent uv dev; do \
		$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-header --universal \
			--python-version 3.11 -o requirements/$$name.txt requirements/$$name.in || exit 1; \
	done

clean: ## remove what was built in this checkout
	@rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(READY): requirements/dev.txt requirements/uv.txt operator/pyproject.toml agent/pyproject.toml cli/pyproject.toml tools/pyproject.toml
	@tools/bootstrap $(VENV)
	@touch $@
