# SPDX-License-Identifier: MIT
# nacre's front door for people. What is built, and how, is in CMakeLists.txt.
BUILD ?= build
BUILD_TYPE ?= Release
PREFIX ?= /usr/local
JOBS ?= $(shell nproc 2>/dev/null || echo 2)

.DEFAULT_GOAL := all
.PHONY: all demo test interop bench plots fuzz docs format lint install clean help setup configured

all: setup configured
	@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL cmake --build $(BUILD) --parallel $(JOBS)

setup:
	@scripts/setup.sh test

configured: | setup
	@cmake -S . -B $(BUILD) -DCMAKE_BUILD_TYPE=$(BUILD_TYPE) -DCMAKE_INSTALL_PREFIX=$(PREFIX) --log-level=WARNING

demo: all
	@scripts/demo.sh $(BUILD)

test: all
	@ctest --test-dir $(BUILD) --output-on-failure --no-tests=error --parallel $(JOBS)

interop: all
	@scripts/setup.sh interop
	@tests/interop/run.sh $(BUILD)

bench: all
	@scripts/bench.sh $(if $(QUICK),--quick) $(if $(ROUNDS),--rounds $(ROUNDS)) $(BUILD) $(BENCH)

plots:
	@scripts/plots.sh $(BUILD)

fuzz:
	@scripts/fuzz.sh $(or $(SECONDS_IN_ALL),300)

docs:
	@scripts/rfc-marks.sh

format:
	@scripts/lint.sh format --fix

lint: configured
	@scripts/lint.sh format
	@scripts/lint.sh tidy $(BUILD)

install: all
	@cmake --install $(BUILD)

clean:
	@rm -rf $(BUILD)

help:
	@echo "make          build everything into $(BUILD)/: $(BUILD)/nacre, the libraries, the tests"
	@echo "make demo     a protected exchange over loopback, and what an eavesdropper and a replayer get"
	@echo "make test     build and run every test"
	@echo "make interop  nacre against aiocoap and Californium, both ways (needs Python and PyPI; a JDK and Maven Central)"
	@echo "make bench    what it costs, as ratios to the bare cipher; tables, and JSON in $(BUILD)/bench/ (BENCH=names,"
	@echo "              QUICK=1: only that it works, ROUNDS=n instead of 101)"
	@echo "make plots    docs/plots/ anew, from what make bench left (needs gnuplot)"
	@echo "make fuzz     every fuzz target, 300 seconds in all (SECONDS_IN_ALL=n); needs clang"
	@echo "make docs     docs/rfc8613.md anew, from the marks in code and tests"
	@echo "make format   clang-format over all C files;  make lint: check the format, and clang-tidy"
	@echo "make install  into PREFIX (now $(PREFIX); DESTDIR is honoured)"
	@echo "make clean    remove $(BUILD)/"
	@echo "Missing packages are named and then installed (Debian); NACRE_NO_INSTALL=1 only names them."
	@echo "Variables: BUILD=dir BUILD_TYPE=Debug JOBS=n PREFIX=dir"
