# Everything a person does here, from nothing: Python 3.11 or newer, Rust and a C compiler are enough.
# Set-up (a virtual environment in .venv, the build) happens by itself and is repeated only when its inputs change.

VENV   := .venv
PY     := $(VENV)/bin/python
TOOLS  := $(VENV)/.tools
BUILD  := $(VENV)/.build
PEERS  := .venv-peers
CARGO  ?= cargo
# The newest Python on the path that is new enough.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

RUST_SOURCES := Cargo.toml Cargo.lock $(shell find rust -name '*.rs' -o -name Cargo.toml)

export PYO3_PYTHON := $(CURDIR)/$(PY)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

CASES  ?= 100000
KILLS ?= 10000
SECONDS_EACH ?= 300
RUNS   ?= 3
SCALE  ?= full

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help build demo test test-rust test-python lint lint-rust lint-python bench bench-wide bench-peers bench-flows bench-processes curves memory loom fuzz asan campaign kills docs wheel clean guard guard-accept model

help: ## Show what can be made.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

build: $(BUILD) ## Build the compiled core, optimised, into the virtual environment.

demo: $(BUILD) ## Play the flights of 2013 through a bus, kill its writer, and prove what came of it.
	$(PY) -m mmsb.applications.flights $(ARGS)

test: test-rust test-python lint ## Run every test and every check.

test-rust: $(TOOLS) ## Run the Rust tests, doc tests too.
	$(CARGO) test --locked

test-python: $(BUILD) ## Run the Python tests.
	$(PY) -m pytest

lint: lint-rust lint-python ## Run every check that is not a test.

lint-rust: $(TOOLS) ## rustfmt, clippy, rustdoc: no warning allowed.
	@if $(CARGO) fmt --version >/dev/null 2>&1; then echo "cargo fmt --check" && $(CARGO) fmt --all --check; \
	else echo "rustfmt is not installed: formatting not checked"; fi
	@if $(CARGO) clippy --version >/dev/null 2>&1; then echo "cargo clippy" \
	&& $(CARGO) clippy --workspace --all-targets --locked -- -D warnings; \
	else echo "clippy is not installed: lints not checked"; fi
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked

lint-python: $(BUILD) ## ruff, mypy, the stub against the built module, import-linter.
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) -m mypy.stubtest mmsb._core
	$(VENV)/bin/lint-imports

loom: $(TOOLS) ## Explore every interleaving of the lock-free parts.
	RUSTFLAGS="--cfg mmsb_loom" $(CARGO) test -p mmsb --release --locked --test loom_memory --test loom_inbox --test loom_lock --target-dir target/loom

model: ## Explore every interleaving and death in the models of the arena; needs spin (WIDE=1 for larger ones).
	docs/model/run

# The sanitizers are nightly features that the stable compiler has too.
fuzz: ## Search for bytes that upset a decoder (SECONDS_EACH=300); needs `cargo install cargo-fuzz`.
	for target in delta body replay rule; do \
	RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run $$target -- -max_total_time=$(SECONDS_EACH) || exit 1; done

asan: $(TOOLS) ## Run the Rust tests under the address sanitizer.
	RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address" ASAN_OPTIONS=handle_segv=0 $(CARGO) test -p mmsb --tests --locked \
	--target $(shell $(CARGO) -vV 2>/dev/null | sed -n 's/host: //p') --target-dir target/asan

campaign: $(BUILD) ## Search for hours with the random tests of both languages (CASES=100000 each).
	CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
	PROPTEST_CASES=$(CASES) MMSB_ROUNDS=1000 MMSB_KILLS=10000 MMSB_CRASHES=8 MMSB_FLIPS=101 MMSB_PAGES=1000000 \
	$(CARGO) test --release --locked
	MMSB_TEST_PROFILE=campaign MMSB_OPERATIONS=5000 $(PY) -m pytest --timeout=0

kills: $(TOOLS) ## Kill processes that share a bus, KILLS=10000 times, at every step of writing and at random.
	MMSB_KILLS=$(KILLS) $(CARGO) test --locked -p mmsb --test bus -- --exact --nocapture \
	writers::what_processes_commit_survives_their_deaths

docs: $(BUILD) ## Write the API reference of both languages under site/.
	$(PY) -m pdoc --docformat google --output-directory site/python mmsb
	$(CARGO) doc --workspace --no-deps --locked
	rm -rf site/rust && cp -r $${CARGO_TARGET_DIR:-target}/doc site/rust
	@echo "site/python/index.html  site/rust/mmsb/index.html"

bench: $(BUILD) ## Measure every operation in both languages, RUNS=3 times, into docs/measurements.md.
	rm -rf target/bench
	for run in $$(seq $(RUNS)); do mkdir -p target/bench/$$run; \
	CRITERION_HOME=$(CURDIR)/target/bench/$$run/criterion $(CARGO) bench -p mmsb-benches --bench core --locked \
	&& $(PY) -m pytest benches/python --basetemp=target/bench/tmp \
	--benchmark-json=target/bench/$$run/python.json || exit 1; done
	rm -rf target/bench/tmp
	$(PY) benches/report.py target/bench docs/measurements.md

bench-wide: ## Measure each form of the loops that use wide instructions.
	$(CARGO) bench -p mmsb-benches --bench wide --locked

# The rivals have an environment and a workspace of their own: nothing else needs them. One that cannot be installed is left out.
bench-peers: $(BUILD) $(PEERS)/.tools ## Measure beside LMDB, SQLite, Redis, redb and more, SCALE=full or quick, into docs/peers.md and the README.
	$(CARGO) build --release --manifest-path benches/peers-rust/Cargo.toml --target-dir target/peers
	PYTHONPATH=python:benches $(PEERS)/bin/python -m peers --scale $(SCALE) --rust target/peers/release/mmsb-peers \
	--readme README.md $(ARGS)

bench-flows: $(BUILD) $(PEERS)/.tools ## Measure propagation and products beside incremental, csp, GraphBLAS and more, SCALE=full or quick, into docs/flows.md and the README.
	$(CARGO) build --release --manifest-path benches/peers-rust/Cargo.toml --target-dir target/peers
	PYTHONPATH=python:benches $(PEERS)/bin/python -m flows --scale $(SCALE) --rust "target/peers/release/mmsb-peers flows" \
	--readme README.md $(ARGS)

bench-processes: $(BUILD) $(PEERS)/.tools ## Measure state shared between processes beside iceoryx2, LMDB, Redis, Ray and more, SCALE=full or quick, into docs/processes.md and the README.
	$(CARGO) build --release --manifest-path benches/peers-rust/Cargo.toml --target-dir target/peers
	PYTHONPATH=python:benches $(PEERS)/bin/python -m processes --scale $(SCALE) \
	--rust "target/peers/release/mmsb-peers processes" --readme README.md $(ARGS)

curves: $(BUILD) ## Measure how time and memory grow with size, number and time, SCALE=full or quick, into docs/curves.md.
	$(CARGO) build --release --locked -p mmsb-benches --example curves
	PYTHONPATH=python:benches $(PY) -m curves --scale $(SCALE) $(ARGS) \
	--program $${CARGO_TARGET_DIR:-target}/release/examples/curves

memory: ## As curves, the part about memory alone: by part, after churn, over cycles.
	@$(MAKE) curves ARGS="--only memory"

guard: $(BUILD) ## Count the instructions of the hot paths and compare with benches/guard/baseline.tsv; needs valgrind.
	@command -v valgrind >/dev/null || { echo "make guard needs valgrind (apt-get install valgrind)" >&2; exit 1; }
	$(CARGO) build --release --locked -p mmsb-guard
	$(PY) benches/guard/guard.py $${CARGO_TARGET_DIR:-target}/release/mmsb-guard $(ACCEPT)

guard-accept: ## Write the counts of now to benches/guard/baseline.tsv.
	@$(MAKE) guard ACCEPT=--accept

wheel: $(TOOLS) ## Build the wheel into dist/.
	rm -rf dist
	$(VENV)/bin/maturin build --release --locked --out dist

clean: ## Remove everything that was built.
	rm -rf $(VENV) $(PEERS) target dist site .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find python tests -name __pycache__ -prune -exec rm -rf {} +
	rm -f python/mmsb/_core.*.so

# Where Debian's python3-venv is missing, `venv` cannot put pip in by itself.
$(PY):
	@test -n "$(PYTHON)" || { echo "mmsb needs Python 3.11 or newer on the path" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { $(PYTHON) -m venv --clear --without-pip $(VENV) \
	&& $(PYTHON) -m pip --python $(PY) install pip; }

$(TOOLS): requirements-dev.txt | $(PY)
	$(PY) -m pip install --quiet -r requirements-dev.txt
	@touch $@

$(PEERS)/.tools: benches/peers/requirements.txt | $(PY)
	$(PY) -m venv --without-pip $(PEERS)
	grep -v '^#' $< | while read -r one; do $(PY) -m pip --python $(PEERS)/bin/python install --quiet $$one \
	|| echo "$$one: not installed, and left out"; done
	@touch $@

$(BUILD): $(TOOLS) pyproject.toml $(RUST_SOURCES)
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(VENV)/bin/maturin develop --release --locked
	@touch $@
