# Every target bootstraps .venv by itself; nothing is installed outside this folder,
# except redis-server and DCMTK for the tests when they are missing and we may (root on Debian or
# Ubuntu).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# pyproject alone decides what is installed; code changes need no new install (editable).
SPEC := pyproject.toml constraints.txt

# Two workers; the one that is done takes tests from the other.
JOBS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --dist worksteal
# What the inner loop leaves out: training, SAM 3, benchmarks, documentation, containers, queues and
# stores, volumes, damaged answers by the thousand, and whatever starts processes of the service.
NOT_FAST := --ignore-glob='*/training/*' --ignore-glob='*/sam3/*' --ignore-glob='*processes.py' \
	$(addprefix --ignore=tests/,benchmarks docker docs segmenter/queue segmenter/storage \
	segmenter/volumes agent/runs/test_resume.py agent/mllm/json/test_fuzz.py)
FREEZE := $(BIN)/python -m pip freeze --all --exclude-editable | grep -v '^pip==' | sed 's/+cpu//'
HEAD := \# Every version the project is built and tested with (Python 3.11). Made by `make constraints`.

.DEFAULT_GOAL := help
.PHONY: help demo serve evaluate test test-fast test-slow test-docs test-contract coverage check docs format \
	intake tools redis dcmtk constraints check-constraints clean

help:  ## this list
	@sed -nE 's/^([a-z-]+):.*  ## (.*)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 25

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' \
		|| { echo "Python 3.11 or 3.12 is needed: make PYTHON=python3.11 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: $(VENV)/bin/python $(SPEC)
	$(PIP) -e .
	@touch $@

# torch by its exact version first: any other specification may pull a CUDA build.
$(VENV)/.dev: $(VENV)/bin/python $(SPEC)
	$(PIP) torch==2.13.0
	$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/.base

$(VENV)/.docs: $(VENV)/.base
	$(PIP) -e '.[docs]'
	@touch $@

$(VENV)/.evaluate: $(VENV)/.base
	$(PIP) -e '.[evaluate]'
	@touch $@

demo: $(VENV)/.base  ## outline a breast tumour on a real ultrasound image (no GPU, key or download)
	@$(BIN)/medsam3 demo

serve: $(VENV)/.base  ## the HTTP service on 127.0.0.1:8000
	@$(BIN)/medsam3 serve

# Words, boxes, rough boxes and the agent on the test split; the phrases of the paper's Table 6; and
# what every threshold would give.
DATA ?= ../shared/data
evaluate: $(VENV)/.evaluate  ## every table of the evaluation, on the image data in ../shared/data
	$(BIN)/medsam3 evaluate --data $(DATA) --split test --mode all agent --foreign 2 \
		--out out/evaluation
	$(BIN)/medsam3 evaluate --data $(DATA) --split test --sets monuseg dsb2018 \
		--phrases nuclei cell --mode T T+I --out out/phrases
	$(BIN)/medsam3 evaluate --data $(DATA) --split test --mode T --threshold 0 --no-pictures \
		--out out/absence

# Exit status 1 if any of our pictures or places is not that of DCMTK, ITK or nibabel.
intake: $(VENV)/.dev dcmtk  ## what hospitals send, against other programs: the table of docs/intake.md
	$(BIN)/python -m benchmarks.intake --page docs/intake.md

test: $(VENV)/.dev tools  ## every test but the slow ones and those of the documentation
	$(PYTEST) --ignore=tests/docs

test-fast: $(VENV)/.dev redis  ## the inner loop: no training, SAM 3, stores, queues or processes
	$(PYTEST) -n 3 $(NOT_FAST)

test-slow: $(VENV)/.dev  ## what `make test` leaves out: memory under load, learning by heart
	$(PYTEST) --slow -m slow

# Two minutes, with a fixed seed: python -m tests.contract --help
test-contract: $(VENV)/.dev  ## generated requests against a served process and its document
	$(BIN)/python -m tests.contract

coverage: $(VENV)/.dev tools  ## `make test`, and how much of the code it ran (fails below the floor)
	$(PYTEST) --ignore=tests/docs --durations=25 --cov --cov-report=term:skip-covered

check: $(VENV)/.dev  ## formatting, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(VENV)/.docs  ## the documentation as a site, in site/
	$(BIN)/python -m benchmarks.doc_tables
	$(BIN)/mkdocs build --strict --quiet

test-docs: $(VENV)/.dev  ## the documentation: its commands run as written, its pages are whole
	$(BIN)/python -m pytest tests/docs

format: $(VENV)/.dev  ## rewrite the formatting
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

tools: redis dcmtk  ## redis-server and DCMTK for the tests, where missing and if they may be installed

redis:
	@command -v redis-server >/dev/null || bash docker/install_tools.sh redis-server

# What compares with it skips without it, and says so.
dcmtk:
	@command -v dcmj2pnm >/dev/null || bash docker/install_tools.sh dcmtk || \
		echo "tests against DCMTK will be skipped" >&2

# In a fresh environment: what an old one still holds is no dependency.
constraints:  ## resolve everything anew and write down what came out
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	{ echo '$(HEAD)'; $(FREEZE); } > constraints.txt

# Other versions of Python need other packages.
check-constraints: $(VENV)/.dev  ## whether constraints.txt is what is installed
	@if $(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; \
		then { echo '$(HEAD)'; $(FREEZE); } | diff -u constraints.txt -; \
		else echo "constraints.txt is checked with Python 3.11 alone"; fi

clean:  ## remove what the other targets made
	rm -rf $(VENV) build dist out site .mypy_cache .pytest_cache .ruff_cache .hypothesis
