# Needs make and Python 3.11 or newer; everything else is installed into .venv from hash-pinned requirements.

PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
# Without bytecode files each program that a test starts compiles all of its modules again.
unexport PYTHONDONTWRITEBYTECODE
ARGS ?=
TYPESCRIPT := clients/typescript/node_modules/.package-lock.json
CONSOLE := clients/console/node_modules/.package-lock.json
# Side by side, each with services of its own; 0 is in this process. Tests wait for a third of their time.
JOBS ?= 3

PROJECTS := pyproject.toml dev/pyproject.toml clients/python/pyproject.toml generated/python/pyproject.toml

# An environment made for another folder, or whose Python has gone, is made anew.
STALE := $(shell [ -x $(BIN)/python ] && [ "$$(cat .venv/checkout 2>/dev/null)" = "$$(pwd -P)" ] || echo stale)

define bootstrap
@python="$(PYTHON)"; [ -n "$$python" ] || { \
	echo "Stockward needs Python 3.11 or newer, and none was found. Name one: make PYTHON=/path/to/python3 $(MAKECMDGOALS)"; \
	exit 1; }; "$$python" tools/bootstrap.py
endef

.PHONY: help run demo month test coverage long timed check bench torture attack soak lint types imports format generate console typescript breaking docs venv lock \
	dist release licences sbom vulnerabilities clean stale

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

run: .venv/runtime.stamp ## Start everything: PostgreSQL, NATS, server, relay, gateway, edge (Ctrl-C stops it)
	@$(BIN)/stockward run $(ARGS)

demo: .venv/runtime.stamp ## Play a shop's day against the running system
	@$(BIN)/stockward demo $(ARGS)

month: .venv/runtime.stamp ## Play a month of real orders against it (FILE=online-retail-2010-12.csv.gz)
	@[ -n "$(FILE)" ] || { echo 'Name the data: make month FILE=online-retail-2010-12.csv.gz'; exit 2; }
	@$(BIN)/python -m examples.online_retail "$(FILE)" $(ARGS)

test: .venv/dev.stamp $(TYPESCRIPT) ## Run the tests on real services (ARGS="-k name" picks some, JOBS=0 shows them one by one)
	@$(BIN)/pytest --numprocesses $(JOBS) --dist worksteal -m "not timed and not long" $(ARGS)

coverage: .venv/dev.stamp $(TYPESCRIPT) ## Run the tests and show which lines and branches they reach (.build/coverage/html)
	@rm -rf .build/coverage && mkdir -p .build/coverage
	@$(BIN)/pytest --numprocesses $(JOBS) --dist worksteal -m "not timed and not long" --cov --cov-report term --cov-report html $(ARGS)

long: .venv/dev.stamp $(TYPESCRIPT) ## Run the long tests: whole stacks, faults, models and fuzzing (ARGS="-k name" picks some)
	@$(BIN)/pytest --numprocesses $(JOBS) --dist worksteal -m "long and not timed" $(ARGS)

timed: .venv/dev.stamp ## Run the tests that need a machine of their own: speed under abuse, broken builds
	@$(BIN)/pytest -m timed $(ARGS)

bench: .venv/dev.stamp ## Measure everything and compare it (ROWS=1,4 picks some; ARGS=--quick only tries them)
	@$(BIN)/python -m benchmarks $(if $(ROWS),--rows $(ROWS)) $(ARGS)

torture: .venv/dev.stamp ## Break the whole stack while clients work, and judge it (SEED=, DURATION= seconds, BROKEN=build)
	@$(BIN)/python -m torture $(if $(SEED),--seed $(SEED)) $(if $(DURATION),--duration $(DURATION)) \
		$(if $(BROKEN),--broken $(BROKEN)) $(ARGS)

attack: .venv/dev.stamp ## Attack a stack in every known way and time a caller beside it (ONLY=, ARGS="--without counting")
	@$(BIN)/python -m tests.attack $(if $(ONLY),--only "$(ONLY)") $(ARGS)

soak: .venv/dev.stamp ## Work for half an hour and see whether anything grows (DURATION= seconds)
	@$(BIN)/python -m torture.soak $(if $(DURATION),--duration $(DURATION)) $(ARGS)

check: ## Run all that CI runs
	@.ci/run

lint: .venv/dev.stamp ## Check style of the code, its language, and the contract
	@$(BIN)/ruff check --output-format concise
	@$(BIN)/ruff format --check
	@$(BIN)/python tools/prose.py
	@$(BIN)/python tools/contract.py lint

types: .venv/dev.stamp ## Check types (mypy --strict)
	@$(BIN)/mypy

imports: .venv/dev.stamp ## Check that dependencies point inward
	@$(BIN)/lint-imports --no-logo

format: .venv/dev.stamp ## Format the code and the contract, and mend what the linter can mend
	@$(BIN)/ruff check --fix --output-format concise
	@$(BIN)/ruff format
	@$(BIN)/buf format --write

generate: .venv/dev.stamp ## Generate the Python and TypeScript code from proto/, and build the console from it
	@$(BIN)/python tools/contract.py generate
	@$(MAKE) --no-print-directory console

console: $(TYPESCRIPT) $(CONSOLE) ## Build the console from clients/console into generated/console
	@if command -v npm >/dev/null; then npm run --silent --prefix clients/console build; \
	else echo "generated/console: left as it is, for want of npm; install Node.js 20 or newer."; fi

typescript: $(TYPESCRIPT) ## Install and compile the TypeScript client and its examples
	@npm run --silent --prefix clients/typescript build

breaking: .venv/dev.stamp ## Check the contract against the last release (AGAINST=ref compares with another commit)
	@$(BIN)/python tools/contract.py breaking $(if $(AGAINST),--against $(AGAINST))

docs: .venv/dev.stamp ## Build the documentation as a site in .build/docs, and check its links
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet $(ARGS)
	@echo 'Built .build/docs/index.html'

venv: .venv/dev.stamp ## Install everything for development into .venv

lock: .venv/dev.stamp ## Pin the dependencies of pyproject.toml anew (ARGS=--upgrade takes newer versions)
	@$(PIN) --group build -o requirements.txt
	@$(PIN) --group build --group dev -c requirements.txt -o requirements-dev.txt

PIN = $(BIN)/uv pip compile pyproject.toml dev/pyproject.toml --extra server --extra tracing \
	--no-emit-package stockward --no-emit-package stockward-client --no-emit-package stockward-contract --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command "make lock" $(ARGS)

dist: .venv/dev.stamp $(TYPESCRIPT) ## Build wheels, source distributions and the npm package into .build/dist
	@rm -rf .build/dist && mkdir -p .build/dist
	@for part in generated/python clients/python . dev; do $(BIN)/uv build --quiet --offline --no-build-isolation --no-create-gitignore \
		--python $(BIN)/python --out-dir .build/dist $$part || exit 1; done
	@if command -v npm >/dev/null; then cd clients/typescript && npm pack --silent --pack-destination ../../.build/dist >/dev/null; fi
	@ls .build/dist

release: .venv/dev.stamp ## Set the version and date the changelog (VERSION=0.2.0); commits and tags nothing
	@$(BIN)/python tools/release.py $(VERSION)

licences: .venv/dev.stamp ## List the licences of what is installed with the server, in docs/reference/licences.md
	@$(BIN)/python tools/licences.py

sbom: .venv/dev.stamp ## Write the bill of materials as CycloneDX to .build/sbom
	@mkdir -p .build/sbom
	@PYTHONWARNINGS=ignore $(BIN)/cyclonedx-py requirements requirements.txt --pyproject pyproject.toml --mc-type application \
		--output-reproducible --output-file .build/sbom/server.cdx.json
	@if command -v npm >/dev/null; then npm sbom --package-lock-only --omit dev --sbom-format cyclonedx \
		--prefix clients/typescript >.build/sbom/typescript-client.cdx.json; fi
	@ls .build/sbom/*.json

vulnerabilities: .venv/dev.stamp ## Hold what is pinned against the known vulnerabilities (asks a public service)
	@$(BIN)/pip-audit --strict --disable-pip --require-hashes --requirement requirements.txt --progress-spinner off $(ARGS) || { \
		echo 'Where no weakness is named above, the list of known ones could not be reached from here:'; \
		echo 'run `make vulnerabilities` where it can, or hand .build/sbom of `make sbom` to a scanner.'; exit 1; }

clean: ## Remove what was built and installed; data in .stockward stays
	@rm -rf .venv .build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis tools/node_modules \
		clients/typescript/node_modules clients/typescript/dist clients/console/node_modules
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/runtime.stamp: requirements.txt $(PROJECTS) $(STALE)
	$(bootstrap) requirements.txt
	@touch $@

.venv/dev.stamp: requirements-dev.txt $(PROJECTS) $(STALE)
	$(bootstrap) requirements-dev.txt
	@touch .venv/runtime.stamp $@

# Without npm the tests of the client are skipped, and say so; CI must not skip them.
$(TYPESCRIPT): clients/typescript/package-lock.json
	@if command -v npm >/dev/null; then echo "Installing the TypeScript client's packages ..."; \
		npm ci --silent --prefix clients/typescript && touch $@; \
	else echo "The TypeScript client is left out for want of npm; install Node.js 20 or newer."; [ "$$CI" != true ]; fi

$(CONSOLE): clients/console/package-lock.json
	@if command -v npm >/dev/null; then echo "Installing the console's packages ..."; npm ci --silent --prefix clients/console && touch $@; fi

stale:
