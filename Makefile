# SPDX-License-Identifier: MIT
# nacre's front door for people. What is built, and how, is in CMakeLists.txt.
BUILD ?= build
BUILD_TYPE ?= Release
PREFIX ?= /usr/local
JOBS ?= $(shell nproc 2>/dev/null || echo 2)

.DEFAULT_GOAL := all
.PHONY: all demo test test-fast prove with-tests coverage interop bench plots fuzz mutate docs format lint install clean help setup-build setup-test configured

# $(call build,TARGETS): what these need and no more. The compiler's lines go to $(BUILD)/build.log, or to the terminal with
# V=1; its warnings and errors are always seen.
define build
@echo "building into $(BUILD)/ ..."
@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL cmake --build $(BUILD) --parallel $(JOBS) $(addprefix --target ,$(1)) \
	$(if $(V),,>$(BUILD)/build.log)
endef

all: setup-build configured
	$(call build,nacre nacre-static nacre-core nacre-tool vectors)

setup-build:
	@scripts/setup.sh build

setup-test:
	@scripts/setup.sh test

configured: | setup-build
	@cmake -S . -B $(BUILD) -DCMAKE_BUILD_TYPE=$(BUILD_TYPE) -DCMAKE_INSTALL_PREFIX=$(PREFIX) --log-level=WARNING >/dev/null

demo: setup-build configured
	$(call build,nacre-tool relay)
	@scripts/demo.sh $(BUILD)

test: with-tests
	@ctest --test-dir $(BUILD) --output-on-failure --no-tests=error --parallel $(JOBS)

test-fast: with-tests
	@ctest --test-dir $(BUILD) --output-on-failure --no-tests=error --parallel $$((2 * $(JOBS))) -L '^fast$$'

# TEST: the names of some of them
prove: with-tests
	@scripts/prove.sh $(BUILD) $(TEST)

with-tests: setup-test configured
	@cmake -S . -B $(BUILD) -DNACRE_TESTS=ON --log-level=WARNING >/dev/null
	$(call build,all)

coverage: setup-test
	@scripts/setup.sh coverage
	@scripts/coverage.sh $(LABEL)

interop: setup-build configured
	@scripts/setup.sh interop
	$(call build,nacre-tool support-programs example-programs)
	@tests/interop/run.sh $(BUILD)

bench: setup-build configured
	$(call build,nacre-tool bench-programs)
	@scripts/bench.sh $(if $(QUICK),--quick) $(if $(ROUNDS),--rounds $(ROUNDS)) $(BUILD) $(BENCH)

# ARGS: of scripts/mutate.py, e.g. ARGS='--all src/oscore/protect.c'
mutate: setup-test
	@nice -n 10 scripts/mutate.py $(ARGS)

plots:
	@scripts/plots.sh $(BUILD)

fuzz:
	@scripts/fuzz.sh $(or $(SECONDS_IN_ALL),300)

docs:
	@scripts/rfc-marks.sh

format:
	@scripts/lint.sh format --fix

lint: setup-test configured
	@scripts/lint.sh format
	@scripts/lint.sh words
	@scripts/layers.py
	@scripts/lint.sh tidy $(BUILD)

install: all
	@cmake --install $(BUILD) >/dev/null
	@echo "installed into $(DESTDIR)$(PREFIX)"

clean:
	@rm -rf $(BUILD)

help:
	@echo "make          build $(BUILD)/nacre, the libraries and $(BUILD)/tests/vectors"
	@echo "make demo     a protected exchange over loopback, and what an eavesdropper and a replayer get"
	@echo "make test     build and run every test"
	@echo "make test-fast    build and run those that take less than a second;  make coverage: what the tests reach"
	@echo "make prove    tests in their long forms: every system call, thousands of lives (a quarter of an hour; TEST=names)"
	@echo "make interop  nacre against aiocoap and Californium, both ways (needs Python and PyPI; a JDK and Maven Central)"
	@echo "make bench    what it costs, as ratios to the bare cipher; tables, and JSON in $(BUILD)/bench/ (BENCH=names,"
	@echo "              QUICK=1: only that it works, ROUNDS=n instead of 101)"
	@echo "make plots    docs/plots/ anew, from what make bench left (needs gnuplot)"
	@echo "make fuzz     every fuzz target, 300 seconds in all (SECONDS_IN_ALL=n); needs clang"
	@echo "make mutate   mutations of the sources that the tests should kill (ARGS=options of scripts/mutate.py); hours with --all"
	@echo "make docs     docs/rfc8613.md anew, from the marks in code and tests"
	@echo "make format   clang-format over all C files;  make lint: check the format, words and includes, and clang-tidy"
	@echo "make install  into PREFIX (now $(PREFIX); DESTDIR is honoured); then, as root, ldconfig"
	@echo "make clean    remove $(BUILD)/"
	@echo "Missing packages are named and then installed (Debian); NACRE_NO_INSTALL=1 only names them."
	@echo "Variables: BUILD=dir BUILD_TYPE=Debug JOBS=n PREFIX=dir V=1 (the compiler's lines)"
