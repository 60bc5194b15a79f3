# netlab: `make demo` shows it, `make test` proves it. Both set up what they need.
.DELETE_ON_ERROR:
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-reduced check docs bench need-root clean

need-root:
	@[ "$$(id -u)" = 0 ] || { echo "netlab makes network namespaces, which needs root: run 'sudo make $(MAKECMDGOALS)'"; exit 3; }

$(VENV)/.ready: pyproject.toml | need-root
	@echo "setting up $(VENV) …"
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -q --disable-pip-version-check --root-user-action=ignore -e '.[dev]'
	@touch $@

.stamp-judges: tests/judges.sh
	@sh tests/judges.sh
	@touch $@

demo: need-root $(VENV)/.ready
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python demo/demo.py

docs: $(VENV)/.ready
	$(BIN)/python docs/generate.py

bench: need-root $(VENV)/.ready
	@missing=; for tool in ip ping cc iperf3 mn nft; do command -v $$tool >/dev/null || missing=yes; done; \
	if [ -n "$$missing" ]; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends iproute2 iputils-ping gcc libc6-dev iperf3 mininet nftables >/dev/null; fi
	@$(BIN)/python -m compileall -q netlab
	$(BIN)/python -m benchmarks.bench --write

check: need-root $(VENV)/.ready
	$(BIN)/ruff check netlab tests demo docs topologies benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

test: need-root $(VENV)/.ready .stamp-judges check
	$(BIN)/python -m pytest -q -n 2 tests

# a part of the tests, as in a container that has what docs/ci.md names and no more
REDUCED := bare smoke nat tests plugin processes life_hands life_state life_gc
test-reduced: need-root $(VENV)/.ready .stamp-judges
	sh tests/reduced.sh $(BIN)/python -m pytest -q -n 2 -p no:cacheprovider $(REDUCED:%=tests/live/test_%.py)

clean:
	rm -rf $(VENV) .stamp-* build dist
