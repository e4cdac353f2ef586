# The front door. `make run` shows Keystead at work, `make test` proves it; the rest are parts of those.
JOBS ?= 2
# Most tests wait for probes and processes: more of them than cores.
TEST_JOBS ?= 4
T    ?=
CTEST = ctest --test-dir build/$(1) --output-on-failure -j$(TEST_JOBS)
BUILD = cmake --preset $(1) >/dev/null && cmake --build --preset $(1) -j$(JOBS) $(2) -- --no-print-directory -s

.PHONY: help deps deps-test build check test run demo lint format clang asan tsan arm fuzz crash soak differential bench bench-layers bench-vault bench-custody bench-kql kql-coverage oracle clean

help:
	@sed -n 's/^## //p' Makefile

## make run      install what is missing, build, start, and show the main job on this machine's own logs
run: build
	@tools/run.sh --stay

## make demo     the same, and exit 0 at the end
demo: build
	@tools/run.sh

## make deps     the Debian packages that the build needs (as root or with sudo)
deps:
	@tools/deps.sh build

deps-test:
	@tools/deps.sh test

## make build    build/keystead
build: deps
	@$(call BUILD,release)
	@ln -sfn release/keystead build/keystead
	@ln -sfn build/release/compile_commands.json compile_commands.json

## make check    layers, unit and golden tests: under a minute; T=wal for one module
check: build
	@tools/layers.py
	@$(call CTEST,release) -L unit $(if $(T),-R $(T))

## make test     everything, real components too: at most 25 minutes on 2 cores
# The corpora prove what rows come out, not how memory is used; under a sanitizer ceiling counts nothing.
test: deps-test build
	@tools/layers.py
	@$(call BUILD,clang,--target keystead)
	@$(call BUILD,asan)
	@$(call CTEST,asan) -L unit -E 'corpus|ceiling' $(if $(T),-R $(T))
	@$(call CTEST,release) $(if $(T),-R $(T))

## make lint     layers; clang-format and clang-tidy over what differs from main (ALL=1: over everything, an hour)
lint: deps-test build
	@tools/layers.py
	@tools/lint.sh

format:
	@git ls-files '*.c' '*.h' '*.cc' | xargs clang-format -i

## make asan     check under AddressSanitizer and UBSan;  make tsan: under ThreadSanitizer
asan tsan clang: deps-test
	@$(call BUILD,$@)
	@$(call CTEST,$@) -L unit $(if $(T),-R $(T))

## make arm      on x86-64: the NEON kernels beside their plain twins, built for arm64 and run by qemu, under ASan too
arm:
	@tools/deps.sh arm
	@tools/simd_arm.sh

## make fuzz     each fuzz target for SECONDS=60;  F=name for one
fuzz: deps-test
	@$(call BUILD,fuzz)
	@tools/fuzz.sh $(or $(SECONDS),60) $(F)

## make crash    kill processes at random moments during ingestion, merges, drains and writes of the vault; N=20 rounds, SEED= repeats a failure
crash: build
	@python3 tests/crash/test_crash.py --rounds $(or $(N),20) $(if $(SEED),--seed $(SEED))
	@python3 tests/crash/test_vault.py --rounds $(or $(N),20) $(if $(SEED),--seed $(SEED))
	@python3 tests/crash/test_background.py --rounds $(or $(N),20) $(if $(SEED),--seed $(SEED))

## make differential   N=20000 random queries of every function, row after row and as the executor runs them; SEED= begins there
differential: build
	@$(call BUILD,release,--target t_exec_random_query)
	@RANDOM_SEED=$(or $(SEED),1) RANDOM_N=$(or $(N),20000) build/release/t_exec_random_query

## make soak     the long proofs (tools/soak.sh): 10,000,000 sealed blocks, 100,000 schedules; BLOCKS=, SEEDS= for fewer
soak: deps-test
	@tools/soak.sh

## make bench-resources   requests a second of the resource plane, a long list, a start with 100,000 resources; RECORD=1
bench-resources: build
	@$(call BUILD,release,--target bench_requests)
	@BENCH_REQUESTS=build/release/bench_requests python3 bench/resources.py $(if $(RECORD),--record)

## make bench-vault   unwraps a second over TLS beside OpenSSL alone, memory and start with 10,000 keys; RECORD=1
bench-vault: build
	@$(call BUILD,release,--target bench_vault)
	@python3 bench/vault.py $(if $(RECORD),--record)

## make bench    start, ingestion, ten queries beside ClickHouse and DuckDB, rotation, revocation; RECORD=1 keeps them in bench/results.md
bench: build
	@cmake --build --preset release --target bench_kql -j$(JOBS) -- --no-print-directory -s
	@python3 bench/bench.py $(if $(ROWS),--rows $(ROWS)) $(if $(RECORD),--record)

## make bench-layers    ingestion and reading with no, one and two layers; rotation of 1, 100 and 1,000 accounts
bench-layers: build
	@$(call BUILD,release,--target bench_layers)
	@python3 bench/bench_layers.py

## make kql-coverage  writes docs/kql-coverage.md anew from the tables of operators, functions and plugins, and the corpora
kql-coverage:
	@$(call BUILD,debug)
	@for t in kql_coverage kql_corpus exec_corpus exec_docs exec_thirdparty exec_realworld; do \
	  KQL_COVERAGE=write build/debug/t_$$t >/dev/null || exit 1; done

## make oracle   our binder beside Microsoft's own parser over 90,000 made-up queries; KUSTO_LS= its npm folder, ORACLE= what asks it, SEED=
oracle:
	@$(call BUILD,debug,--target oracle_bind)
	@tests/oracle/generate.py ../shared/kql/catalog.json $(or $(SEED),1) > build/oracle.json
	@tests/oracle/compare.py build/debug/oracle_bind $(or $(ORACLE),../shared/kql/oracle.js) tests/oracle/tables.json build/oracle.json \
	  build/oracle.answers.json

## make bench-custody   how fast a denial bites, how soon rows are back, what watching keys costs; RECORD=1
bench-custody: build
	@python3 bench/custody.py $(if $(RECORD),--record)

## make bench-kql  ten queries over vectors in memory beside ClickHouse and DuckDB (from npm); RECORD=1, ROWS=
bench-kql: build
	@cmake --build --preset release --target bench_kql -j$(JOBS) -- --no-print-directory -s
	@python3 bench/kql.py $(if $(ROWS),--rows $(ROWS)) $(if $(RECORD),--record)

clean:
	rm -rf build compile_commands.json
