# What a person types:
#
#   make test                 all tests, then the race detector over engine, simclock, simfs and faults (without long searches)
#   make short                the tests without their long searches: four minutes on two cores
#   make sim                  the main simulation: every scenario on posix and ext4, SEEDS=1-1000
#   make explore              every crash of one batch on every disk preset, to the end, with certificates
#   make litmus               what each disk keeps of small programs, by three searches
#   make errors               every operation of two workloads fails in every way, and crashes behind it
#   make syncfail             what becomes of a log whose syncs fail or lie
#   make tamper               logs whose files are changed in every way: each change is named, none is served
#   make xray                 which sync of the log is needed for what
#   make profile              the weakest disk on which the log keeps its promises
#   make mutants              bugs planted in the engine's source, which must be found; PATCH=file tries one more
#   make dense                more images of fewer seeds than make sim
#   make fuzz                 each fuzz target for FUZZTIME=30s
#   make bench                the benchmarks
#   make peers                the log beside the disk's limit and other stores, in two minutes (cmd/untorn-bench)
#   make lint                 gofmt, go vet, staticcheck
#   make vuln                 what the Go vulnerability database knows of what we call; VULNDB=file:///… for a copy of it
#   make browser              the pages of untorn-sim report in a real Chromium; screenshots are in artefacts/
#   make digests              the same seeds give the same digests on 32 bits
#   make cross                build and vet for the other platforms
#   make nightly              the long versions of all of these
#   make rewrite PKG=./simfs  write what a package's scripts in testdata should say
#
# make sim takes SEEDS=1-50, SCENARIO=batch, DISK=ext4, TIME=60s and JOBS=2; explore and errors take DISK.
# make litmus-real runs the litmus programs on this machine's ext4, xfs and btrfs, on loop devices, as root.

GO          ?= go
SEEDS       ?= 1-1000
FUZZTIME    ?= 30s
BENCH       ?= .
RACE        ?= ./engine/... ./simclock/... ./simfs/... ./faults/...
DISKS       ?= posix ext4 ext4-writeback xfs btrfs sequential
ADAPTERS    ?= engine/metrics/prometheus engine/metrics/otel
BROWSER     ?= replay/report/browser
PLATFORMS   ?= linux/386 darwin/arm64 windows/amd64
STATICCHECK ?= honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK ?= golang.org/x/vuln/cmd/govulncheck@v1.9.0

VULN = $(if $(VULNDB),-db $(VULNDB))

# A blank and a comma, which cannot stand in a function as they are.
empty :=
space := $(empty) $(empty)
, := ,

SIM = $(GO) run ./cmd/untorn-sim run --seeds $(SEEDS) --disk $(or $(DISK),posix$(,)ext4) \
	$(if $(SCENARIO),--scenario $(SCENARIO)) $(if $(TIME),--time $(TIME)) $(if $(JOBS),--jobs $(JOBS))

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.PHONY: test short race sim explore litmus litmus-real errors syncfail tamper xray profile mutants dense fuzz bench peers browser lint vuln digests cross nightly rewrite

# The adapters are modules of their own, so that what they depend on stays out of ours.
test:
	$(GO) test -timeout 20m ./...
	@for module in $(ADAPTERS); do \
		echo "cd $$module && $(GO) test ./..."; \
		(cd "$$module" && $(GO) test ./...) || exit 1; \
	done
	@$(MAKE) --no-print-directory race

short:
	$(GO) test -short ./...

# The race detector needs a C compiler on every platform but darwin.
race:
	@if [ "$$($(GO) env GOOS)" != darwin ] && { [ "$$($(GO) env CGO_ENABLED)" != 1 ] || ! command -v "$$($(GO) env CC)" >/dev/null; }; then \
		echo "race: NOT RUN: the race detector needs a C compiler, and there is none here" >&2; \
	else \
		echo "$(GO) test -race -short -timeout 20m $(RACE)"; \
		$(GO) test -race -short -timeout 20m $(RACE); \
		echo "$(GO) test -race -run TestDigests ./scenarios"; \
		$(GO) test -race -run TestDigests ./scenarios; \
	fi

sim:
	$(SIM)

explore:
	$(GO) run ./cmd/untorn-sim explore --disk $(or $(DISK),all) --depth 2

litmus:
	$(GO) run ./cmd/untorn-sim litmus

litmus-real:
	$(GO) run ./cmd/untorn-sim litmus --real all

errors:
	$(GO) run ./cmd/untorn-sim errors --disk $(or $(DISK),ext4)

syncfail:
	$(GO) run ./cmd/untorn-sim syncfail

# MUTATIONS=100000 makes more or fewer.
tamper:
	$(GO) run ./cmd/untorn-sim tamper $(if $(MUTATIONS),--mutations $(MUTATIONS))

xray:
	$(GO) run ./cmd/untorn-sim xray

profile:
	$(GO) run ./cmd/untorn-sim profile

mutants:
	$(GO) run ./scenarios/mutants $(if $(PATCH),--patch $(PATCH))

# 20 times as many images of each seed as make sim.
dense:
	$(GO) run ./cmd/untorn-sim run --scenario batch --disk $(subst $(space),$(,),$(DISKS)) \
		--seeds $(if $(filter file,$(origin SEEDS)),1-20,$(SEEDS)) --images 2000

fuzz:
	@grep -rE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*\(' . | sort | while IFS=: read -r file line; do \
		name=$${line#func }; name=$${name%%(*}; dir=$$(dirname "$$file"); \
		echo "$$dir $$name"; \
		$(GO) test "$$dir" -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) </dev/null || exit 1; \
	done

bench:
	$(GO) test ./... -run '^$$' -bench '$(BENCH)' -benchmem

# A module of its own, so that what the other stores depend on stays out of ours.
peers:
	cd cmd/untorn-bench && $(GO) run . --quick

# A module of its own, so that what drives the browser stays out of ours. ARTEFACTS=/elsewhere
# names another folder for the screenshots.
browser:
	cd $(BROWSER) && $(GO) test -count=1 ./...

lint:
	@unformatted=$$("$$($(GO) env GOROOT)/bin/gofmt" -l .) || exit 1; if [ -n "$$unformatted" ]; then echo "gofmt -w these:" >&2; echo "$$unformatted" >&2; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	@for module in $(ADAPTERS) $(BROWSER); do \
		echo "cd $$module && $(GO) vet ./... && $(GO) run $(STATICCHECK) ./..."; \
		(cd "$$module" && $(GO) vet ./... && $(GO) run $(STATICCHECK) ./...) || exit 1; \
	done

vuln:
	$(GO) run $(GOVULNCHECK) $(VULN) ./...
	@for module in $(ADAPTERS) $(BROWSER) cmd/untorn-bench; do \
		echo "cd $$module && $(GO) run $(GOVULNCHECK) $(VULN) ./..."; \
		(cd "$$module" && $(GO) run $(GOVULNCHECK) $(VULN) ./...) || exit 1; \
	done

digests:
	@if [ "$$($(GO) env GOHOSTOS)/$$($(GO) env GOHOSTARCH)" = linux/amd64 ]; then \
		echo "GOARCH=386 $(GO) test -run TestDigests ./scenarios"; \
		GOARCH=386 CGO_ENABLED=0 $(GO) test -run TestDigests ./scenarios; \
	else \
		echo "digests: NOT RUN on 32 bits: this machine is not linux/amd64" >&2; \
	fi

# vet compiles the tests too.
cross:
	@for platform in $(PLATFORMS); do \
		echo "GOOS=$${platform%/*} GOARCH=$${platform#*/} $(GO) build ./... && $(GO) vet ./..."; \
		GOOS=$${platform%/*} GOARCH=$${platform#*/} CGO_ENABLED=0 $(GO) build ./... || exit 1; \
		GOOS=$${platform%/*} GOARCH=$${platform#*/} CGO_ENABLED=0 $(GO) vet ./... || exit 1; \
	done

nightly: lint vuln test cross
	$(GO) test -count=1 -race -timeout 3h ./...
	cd cmd/untorn-bench && $(GO) vet ./... && $(GO) test ./...
	GOARCH=386 CGO_ENABLED=0 $(GO) test -short ./...
	@$(MAKE) --no-print-directory fuzz FUZZTIME=10m
	@$(MAKE) --no-print-directory explore litmus syncfail xray profile mutants
	@$(MAKE) --no-print-directory errors DISK=all
	@$(MAKE) --no-print-directory tamper MUTATIONS=2000000
	@$(MAKE) --no-print-directory dense SEEDS=1-500
	@for scenario in $$($(GO) run ./cmd/untorn-sim list | sed -n '/^disks/q;s/^  \([a-z-]*\) .*/\1/p'); do \
		$(MAKE) --no-print-directory sim SEEDS=1-20000 SCENARIO=$$scenario || exit 1; \
	done
	@$(MAKE) --no-print-directory bench

rewrite:
	@if [ -z "$(PKG)" ]; then echo "make rewrite PKG=./simfs: name the package" >&2; exit 2; fi
	$(GO) test $(PKG) -rewrite
