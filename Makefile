# Thin on purpose: every target is one script, and each script also runs alone.
PREFIX ?= /usr/local

.PHONY: help run build test soak bench lint format install

help:
	@echo 'make run       set up, build, and watch two agents talk (parley demo)'
	@echo 'make test      set up, build, and run every test'
	@echo 'make soak      the fault tests with long outages (PARLEY_SOAK=1)'
	@echo 'make build     stripped release binaries in bin/'
	@echo 'make bench     measure; BENCH="push --backend redis" passes arguments to parley bench'
	@echo 'make lint      formatting and the rules of CONTRIBUTING.md'
	@echo 'make format    let swift format lay out the code'
	@echo 'make install   install to PREFIX (now $(PREFIX))'

run: build
	@bin/parley demo

build:
	@scripts/bootstrap
	@scripts/build

test: build
	@scripts/test

soak: build
	@PARLEY_SOAK=1 scripts/test --no-parallel --filter FaultTests

bench: build
	@bin/parley bench $(BENCH)

lint:
	@scripts/bootstrap
	@scripts/lint

format:
	@swift format format --in-place --recursive --parallel Sources Tests examples Package.swift

install:
	@scripts/install '$(PREFIX)'
