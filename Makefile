# `make test` is the one command that says whether everything is well; the scripts it runs are in .ci/.

.PHONY: test test-long bench fmt lint demo setup node tools

test: ## every check and test; sets up what it needs, or says what is missing
	@bash .ci/test

test-long: ## what takes longer: fuzzing, and concurrency tests again and again
	@bash .ci/test-long

bench: ## the benchmarks, compared with those of the last run
	@bash .ci/bench

lint: setup tools ## build, go vet, gofumpt, staticcheck, govulncheck
	@bash .ci/lint

fmt: tools ## format all Go files
	@bash .ci/fmt

demo: ## everything in one process, with simulated EHRs
	@go run ./cmd/slotgate demo

setup: ## redis-server, gcc and the like
	@bash .ci/setup

node: setup ## the FHIR server and client of others, and a Node they run on
	@bash .ci/node

tools: ## gofumpt, staticcheck, govulncheck, benchstat
	@bash .ci/tools/build >/dev/null
