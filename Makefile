# `make` alone lists the verbs.
.DEFAULT_GOAL := help
.PHONY: help run test bench fuzz format docs conformance

help:
	@echo "make run          build, start the server and the example service, print where to look"
	@echo "make test         build and run every test      (make test ARGS='--filter ApusTSDBTests')"
	@echo "make bench        the benchmarks, and the ratios to a Prometheus on PATH (make bench ARGS=append)"
	@echo "make fuzz         fuzz each parser for a minute (make fuzz TARGET=text SECONDS=600)"
	@echo "make format       lay out the Swift sources"
	@echo "make docs         the API documentation, into .build/docs"
	@echo "make conformance  the conformance suite         (make conformance SUITE=path/to/run.sh)"

run:
	scripts/run

test:
	scripts/test $(ARGS)

bench:
	swift run -c release --package-path Benchmarks apus-bench $(ARGS)
	swift build -c release --product apus
	python3 Benchmarks/peers.py "$$(swift build -c release --show-bin-path)/apus"

fuzz:
	scripts/fuzz $(TARGET) $(SECONDS)

format:
	swift format --in-place --recursive Sources Tests Examples Benchmarks Fuzz Package.swift

docs:
	scripts/docs

SUITE ?= ../shared/conformance/run.sh
conformance:
	swift build -c release --product apus
	.ci/ratchet $(SUITE) "$$(swift build -c release --show-bin-path)/apus"
