# Two commands to know: `make lab` to learn, `make test` to know that all is well.
# Every target makes the environment first if it is missing or the requirements changed.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CLASSROOM ?= classroom
export JUPYTER_CONFIG_PATH := $(CURDIR)/jupyter_config

.PHONY: help lab explore test test-full lessons grade demo bench equivalence lint format clean

help:
	@echo "make lab      open the lessons in JupyterLab"
	@echo "make explore  open the explorers in a browser; nothing to install"
	@echo "make test     lint, then every test (about 20 minutes on two cores)"
	@echo "make lessons  build lessons/ from solutions/, and docs/explorers.html"
	@echo "make grade    grade classroom/submitted, or a sample class if there is none"
	@echo "make bench    measure against torchvision, in an environment of its own"
	@echo "make equivalence   the full-size detectors beside torchvision's, same weights"
	@echo "make lint     ruff and mypy;  make format  let ruff mend what it can"
	@echo "make clean    remove environments and caches (never classroom/)"

$(VENV)/installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, got $$($(PYTHON) --version). Name another: make PYTHON=python3.12 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ echo "no virtual environment could be made; on Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/installed-dev: requirements-dev.txt $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

ROOT_OPTION := $(if $(filter 0,$(shell id -u)),--allow-root)

lab: $(VENV)/installed
	$(BIN)/jupyter lab $(ROOT_OPTION) --LabApp.default_url=/lab/tree/lessons/01_iou/01_iou.ipynb $(LAB_OPTIONS)

explore:
	@echo "docs/explorers.html: drag it, turn it, see it (any browser opens this file)"
	@$(PYTHON) -m webbrowser -t "file://$(CURDIR)/docs/explorers.html" >/dev/null || true

lessons: $(VENV)/installed
	$(BIN)/python -m autograde build
	$(BIN)/python -m course_lib.explore docs/explorers.html

demo: $(VENV)/installed
	$(BIN)/python -m autograde demo --classroom $(CLASSROOM)

grade: $(VENV)/installed
	@sh tools/system_packages.sh bubblewrap
	@test -d $(CLASSROOM)/submitted || $(BIN)/python -m autograde demo --classroom $(CLASSROOM)
	$(BIN)/python -m autograde grade --classroom $(CLASSROOM)

lint: $(VENV)/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder --jaxtyping-packages=course_lib,beartype.beartype

test: lint
	@sh tools/system_packages.sh bubblewrap chromium
	$(PYTEST) -m "not full" $(PYTEST_OPTIONS)

test-full: lint
	@sh tools/system_packages.sh bubblewrap chromium
	$(PYTEST) $(PYTEST_OPTIONS)

.venv-peer/installed: benchmarks/requirements-peer.txt
	$(PYTHON) -m venv .venv-peer
	.venv-peer/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements-peer.txt
	@touch $@

bench: .venv-peer/installed
	.venv-peer/bin/python -m benchmarks.ops
	.venv-peer/bin/python -m benchmarks.models

equivalence: .venv-peer/installed
	.venv-peer/bin/python -m benchmarks.equivalence $(EQUIVALENCE_OPTIONS)

clean:
	rm -rf $(VENV) .venv-peer build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
