# Developer commands. `make help` lists them. Each target sets up what it needs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help up web docs demo demo-down demo-stop test test-e2e test-slow test-old-kubernetes test-mutation chaos soak \
	e2e slow bench bench-agent bench-alerts bench-hub bench-operator \
	lint format generate verify scan-code scan-chart audit sbom fuzz images wheel wheels release release-check release-notes deps-lock clean

# Tests start hundreds of our programs. Without bytecode, each start compiles all modules.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
TOOLS := $(BIN)/python -m metricat_tools
SECURITY := .venv-security
CHART_SCAN := .venv-chart
FUZZER := dist/fuzz/packages/ready
PAGE := hub/src/metricat_hub/page/index.html
PAGE_PACKAGES := web/node_modules/.package-lock.json
MYPY_CACHE := $(or $(METRICAT_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/metricat)/mypy
CODE := operator/src rules/src agent/src hub/src cli/src tools/src tests

##@ General

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / {printf "  make %-19s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

clean: ## Remove the virtual environment, dist/ and the tools' caches
	@rm -rf $(VENV) $(SECURITY) $(CHART_SCAN) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

##@ Development

lint: $(READY) ## Check style, types and import contracts
	@$(BIN)/ruff check --quiet $(CODE)
	@$(BIN)/ruff format --quiet --check $(CODE)
	@# A new checkout starts with the results of the last one: mypy checks only changed files.
	@[ -d .mypy_cache ] || cp -r $(MYPY_CACHE) .mypy_cache 2>/dev/null || rm -rf .mypy_cache
	@$(BIN)/mypy $(CODE)
	@mkdir -p $(dir $(MYPY_CACHE)); new=$(MYPY_CACHE).$$$$; cp -r .mypy_cache $$new && rm -rf $(MYPY_CACHE) && \
		mv -T $$new $(MYPY_CACHE) || rm -rf $$new
	@$(BIN)/lint-imports --no-logo
	@if [ -e web/node_modules/esbuild ]; then cd web && npm --silent run lint; \
	else echo "web/ is not checked: its packages are missing." >&2; fi

format: $(READY) ## Format the code and fix its style
	@$(BIN)/ruff check --quiet --fix $(CODE)
	@$(BIN)/ruff format --quiet $(CODE)
	@cd web && npm --silent run format

web: $(PAGE) ## Build the page (needs Node.js 18 or newer)

docs: $(READY) ## Build the site of the documentation into dist/docs (with Node.js: and its diagrams)
	@mkdir -p dist/diagrams && cp docs/package.json docs/package-lock.json docs/.npmrc dist/diagrams
	@cd dist/diagrams && { [ -e node_modules/mermaid ] || npm --silent ci || echo "Without npm, diagrams show their source." >&2; }
	@$(BIN)/sphinx-build -q --fail-on-warning --keep-going -b html -c docs . dist/docs
	@echo "the site is in dist/docs/docs/README.html"

generate: $(READY) ## Write every generated file
	@$(TOOLS) generate

verify: $(READY) ## Check that every generated file is up to date
	@$(TOOLS) generate --check

deps-lock: $(READY) ## Pin the newest Python packages, with hashes
	@for name in operator agent hub uv dev security chart fuzz; do \
		$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-header --universal \
			--python-version 3.11 -o requirements/$$name.txt requirements/$$name.in || exit 1; \
	done

##@ Security

scan-code: $(READY) $(SECURITY)/ready ## Report insecure calls by the rules of tools/semgrep (ruff reports others in make lint)
	@$(TOOLS) security scan

scan-chart: $(READY) $(CHART_SCAN)/ready ## Check the rendered chart, and the objects of MonitoringTargets, with checkov
	@$(TOOLS) security chart

audit: $(READY) $(SECURITY)/ready ## Report known vulnerabilities of the pinned packages (needs access to their data)
	@$(TOOLS) security audit

sbom: $(READY) $(SECURITY)/ready ## Write an SBOM (CycloneDX) of the pinned packages of each image into dist/
	@$(TOOLS) security sbom

fuzz: $(READY) $(FUZZER) ## Search for input that a parser does not handle (PARSER=hub-promql SECONDS=600)
	@$(TOOLS) security fuzz $(PARSER) $(if $(SECONDS),--seconds $(SECONDS))

##@ Tests

test: $(READY) ## Run unit, golden, contract, rule and integration tests (the last on a real control plane)
	@$(BIN)/pytest -m "not slow" --numprocesses 4 --dist loadscope --no-loadscope-reorder \
		tests/unit tests/golden tests/contract tests/rules tests/integration $(PYTEST)

test-e2e: $(READY) ## Run end-to-end tests on a cluster with nodes (needs root)
	@$(BIN)/pytest -m "not slow" --numprocesses 2 --dist loadscope tests/e2e $(PYTEST)

test-slow: test-old-kubernetes ## Run the tests that take minutes: changed hosts, broken links, TLS, notifications (needs root)
	@$(BIN)/pytest -m slow tests/unit tests/rules tests/integration tests/e2e $(PYTEST)

test-old-kubernetes: $(READY) ## Run the operator's main integration tests on Kubernetes 1.30, the oldest supported version
	@METRICAT_TEST_KUBERNETES=old $(BIN)/pytest -m "not slow" $(addprefix tests/integration/operator/, \
		test_schemas.py test_bad_input.py test_authorization_policy.py test_lifecycle.py test_pools.py) $(PYTEST)

chaos: $(READY) ## Inject faults into an operator on a real API server (CHAOS="--long --write" for the long form; --seed 7)
	@$(BIN)/pytest --numprocesses 3 --dist loadfile tests/chaos $(CHAOS) $(PYTEST)

soak: $(READY) ## Check that operator, agent and hub do not grow under load (MINUTES=20; CHAOS="--write")
	@$(BIN)/pytest --numprocesses 3 --dist load tests/chaos/test_soak.py --soak $(or $(MINUTES),20) $(CHAOS) $(PYTEST)

test-mutation: $(READY) ## Report code changes that the unit tests do not detect (MODULE=scrape, MUTANTS=0 for all, SEED=2)
	@$(TOOLS) mutate $(if $(MODULE),--module $(MODULE)) $(if $(MUTANTS),--mutants $(MUTANTS)) $(if $(SEED),--seed $(SEED))

##@ Run

up: $(READY) ## Run agent and hub on this machine (UP="--listen=127.0.0.1:9999" and other settings)
	@$(BIN)/metricat up $(UP)

##@ Demo

demo: $(READY) ## Show an alert from start to end on a new cluster (CLUSTER=current: on your kubeconfig's cluster)
	@$(TOOLS) demo $(if $(CLUSTER),--cluster $(CLUSTER)) $(if $(REGISTRY),--registry $(REGISTRY))

demo-down: $(READY) ## Stop the demo's cluster and remove all its files
	@$(TOOLS) demo --stop

##@ Benchmarks

bench: bench-agent bench-alerts bench-operator ## Run every benchmark

bench-agent: $(READY) ## Compare the agent with node_exporter: a table of ratios, then growth over 20,000 scrapes
	@$(TOOLS) bench agent --growth 20000

bench-alerts: $(READY) ## Measure precision and recall of the predictive alerts on series with known problems
	@$(TOOLS) bench alerts

bench-hub: $(READY) ## Measure the hub next to Prometheus and VictoriaMetrics, about an hour (BENCH="--part scrape --minutes 30")
	@$(TOOLS) bench hub --write $(BENCH)

bench-operator: $(READY) ## Measure the operator on 1,000 and 5,000 simulated nodes, against a minimal apply loop
	@$(TOOLS) bench operator

##@ Build

images: $(READY) ## Build the container images (REGISTRY=host/name also pushes them)
	@$(TOOLS) images $(if $(REGISTRY),--push $(REGISTRY))

wheel: $(READY) ## Build the agent's wheel into dist/
	@$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist ./agent

wheels: $(READY) ## Build the wheels of all packages into dist/
	@$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist ./rules ./agent ./operator ./hub ./cli

##@ Release

release: $(READY) ## Write a version into all files; run again after the commit: check everything and create the tag (VERSION=1.2.3)
	@$(TOOLS) release "$(VERSION)"

release-check: $(READY) ## Check that every file has this version (VERSION=1.2.3)
	@$(TOOLS) release "$(VERSION)" --check

release-notes: $(READY) ## Print the changes of a version (VERSION=1.2.3)
	@$(TOOLS) release "$(VERSION)" --notes

# Old names.
e2e: test-e2e
slow: test-slow
packages: wheel
lock: deps-lock
demo-stop: demo-down

$(READY): requirements/dev.txt requirements/uv.txt operator/pyproject.toml rules/pyproject.toml agent/pyproject.toml hub/pyproject.toml cli/pyproject.toml tools/pyproject.toml | $(PAGE)
	@tools/bootstrap $(VENV)
	@touch $@

$(SECURITY)/ready: requirements/security.txt
$(CHART_SCAN)/ready: requirements/chart.txt
$(SECURITY)/ready $(CHART_SCAN)/ready: | $(READY)
	@echo "installing $(<F)" >&2
	@$(BIN)/python -m venv --clear $(@D)
	@$(BIN)/uv pip install --quiet --python $(@D)/bin/python --require-hashes -r $< || \
		$(@D)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(FUZZER): requirements/fuzz.txt | $(READY)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --target $(@D) --require-hashes -r requirements/fuzz.txt || \
		$(BIN)/pip install --quiet --disable-pip-version-check --target $(@D) --require-hashes -r requirements/fuzz.txt
	@touch $@

# Without Node.js or its packages everything but the page works: the hub says how to build it.
$(PAGE): $(PAGE_PACKAGES) $(shell find web -name node_modules -prune -o -type f -print)
	@! [ -e web/node_modules/esbuild ] || node web/build.mjs

$(PAGE_PACKAGES): web/package-lock.json web/.npmrc
	@(cd web && npm --silent ci) && touch $@ || \
		echo "The page cannot be built. Install Node.js 18 or newer, and run make web." >&2
