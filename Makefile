# make test works on a machine that has only python3: it makes its own environment in .venv.
PYTHON ?= python3
VENV ?= .venv
# Tests at once; the rings keep clear of each other.
JOBS ?= 2
RINGS ?= tests
PLUGINS = -n $(JOBS) --timeout 120
ARGS ?=

.PHONY: help test test-all faults faults-full lint types pyz bench coverage clean

help:
	@echo "make test      the tests that matter at every change, in .venv (RINGS=tests/unit, ARGS='-k name', PYTHON=python3.6)"
	@echo "make test-all  the slow ones too"
	@echo "make faults    kill -9, power cuts, full disks, escapees ... against the real command (faults-full: for hours)"
	@echo "make lint      ruff and vermin (nothing newer than 3.6)"
	@echo "make types     mypy --strict, newest, and 0.971 for 3.6 where a Python 3.6 to 3.10 is found"
	@echo "make coverage  the tests with branch coverage"
	@echo "make pyz       dist/executioner.pyz, one file for Python 3.6 and newer"
	@echo "make bench     the same workloads for us, ninja and make"
	@echo "make clean     what was made by the above"

test:
	@python=$$($(PYTHON) scripts/dev_env.py $(VENV)) || exit 1; \
	"$$python" -m pytest -q $$("$$python" -c "import xdist, pytest_timeout" 2>/dev/null && printf '%s ' '$(PLUGINS)') \
	    -m "not slow" $(RINGS) $(ARGS)

test-all:
	@python=$$($(PYTHON) scripts/dev_env.py $(VENV)) || exit 1; \
	"$$python" -m pytest -q $$("$$python" -c "import xdist, pytest_timeout" 2>/dev/null && printf '%s ' '$(PLUGINS)') \
	    $(RINGS) $(ARGS)

faults:
	@$(PYTHON) tests/faults/run.py --level quick $(ARGS)

faults-full:
	@$(PYTHON) tests/faults/run.py --level full $(ARGS)

lint:
	@python=$$($(PYTHON) scripts/dev_env.py .venv-lint -r requirements-lint.txt) || exit 1; \
	"$$python" -m ruff check . && "$$(dirname "$$python")/vermin" --config-file vermin.ini --quiet --violations $$(git ls-files '*.py' ':!tests')

types:
	@$(PYTHON) scripts/check_types.py

coverage:
	@python=$$($(PYTHON) scripts/dev_env.py .venv-coverage -r requirements-dev.txt -p coverage -p pytest-cov) || exit 1; \
	"$$python" -m pytest -q -n $(JOBS) --cov --cov-report=term-missing --cov-report=html:coverage-html $(RINGS) $(ARGS)

pyz:
	@$(PYTHON) scripts/build_pyz.py

bench:
	@$(PYTHON) benchmarks/compare.py $(ARGS)

clean:
	rm -rf build dist *.egg-info .venv .venv-* .mypy_cache .ruff_cache .pytest_cache \
	    .hypothesis .coverage .coverage.* coverage-html
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
