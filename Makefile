# Two commands: `make demo` and `make test`. Both set up everything they need, from a clean clone.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PORT   ?= 7071
# Most tests wait for something that is not the processor: three keep two cores busy.
JOBS   ?= 3
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test lint types unit js functions browser redis fast soak bench format wheel clean

demo: $(VENV)/.demo streamsink/static/vendor/.done
	PORT=$(PORT) $(BIN)/streamsink serve

test: lint types js unit functions

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/.dev
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/python scripts/public_types.py

js: streamsink/static/vendor/.done
	npm test --silent

# The tests say what a browser is missing for, and fail: nothing is skipped.
unit: $(VENV)/.dev streamsink/static/vendor/.done
	$(BIN)/coverage erase
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal --cov --cov-report=
	$(BIN)/coverage report
	$(BIN)/python scripts/coverage_gates.py

# The Azure Functions host on each of its Pythons that is here (`unit` has tested it on this one); from 3.13 on
# its functions are called by Microsoft's own worker library.
functions: functions-3.11 functions-3.12 functions-3.13

functions-3.%: | $(BIN)/python
	@scripts/functions_on.sh 3.$* "$$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')"

# What uses Redis, on another server than the wheel's Valkey: `make redis SERVER=/usr/bin/redis-server`. With TLS tests, so
# the server has to be built with it. Five minutes; `TESTS=tests/backends/redis` takes one.
SERVER ?= redis-server
TESTS  ?= tests/backends/redis tests/demo tests/deploy tests/e2e tests/hosts
redis: $(VENV)/.dev streamsink/static/vendor/.done
	$(SERVER) --version
	STREAMSINK_TEST_REDIS=$(SERVER) $(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal $(TESTS)

# The same tests, or others, on the event loop and the HTTP parser of `streamsink[fast]`: `make fast TESTS=tests/e2e`.
fast: $(VENV)/.dev .fast/.done streamsink/static/vendor/.done
	PYTHONPATH=$(CURDIR)/.fast STREAMSINK_TEST_LOOP=uvloop $(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal $(TESTS)

.fast/.done: $(VENV)/.dev
	rm -rf .fast
	$(BIN)/pip install --quiet --target .fast --group fast-test
	touch $@

# `make soak ARGS=--redis`: three nodes, which are killed, on a Redis that is restarted, paused and failed over.
# `make soak ARGS=--signalr`: on Azure's twin, which fails, delays, reorders and doubles; with `--redis`, two nodes.
soak: $(VENV)/.dev streamsink/static/vendor/.done
	$(BIN)/python -m tests.e2e.soak $(ARGS)

# Less than ten minutes; `make bench ARGS=--quick` takes one. Loopback only.
bench: bench/.venv/.done bench/node_modules/.done
	bench/.venv/bin/python -m bench $(ARGS)

bench/.venv/.done: bench/requirements.txt pyproject.toml
	$(PYTHON) -m venv bench/.venv
	bench/.venv/bin/pip install --quiet --editable '.[asgi]' --requirement bench/requirements.txt
	touch $@

bench/node_modules/.done: bench/package.json
	@command -v npm >/dev/null || { echo "Node with npm is needed for a peer: https://nodejs.org" >&2; exit 1; }
	npm install --silent --no-package-lock --prefix bench
	touch $@

format: $(VENV)/.dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

wheel: $(VENV)/.dev streamsink/static/vendor/.done
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV) .venv-3.* .fast bench/.venv bench/node_modules node_modules build dist streamsink/static/vendor .coverage .mypy_cache .pytest_cache .ruff_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; say which one: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable '.[demo]'
	touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/pip install --quiet --editable '.[demo,functions,jwks,valkey]' --group dev
	touch $@ $(VENV)/.demo

streamsink/static/vendor/.done: package-lock.json scripts/vendor.mjs
	@command -v npm >/dev/null || { echo "Node with npm is needed for the browser client: https://nodejs.org" >&2; exit 1; }
	npm ci --silent
	npm run --silent vendor
	touch $@
