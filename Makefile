# Every target bootstraps .venv by itself; nothing is installed outside this folder,
# except redis-server for the tests when it is missing and we may (root on Debian or Ubuntu).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# pyproject alone decides what is installed; code changes need no new install (editable).
SPEC := pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo serve evaluate test check format redis constraints clean

help:
	@echo "make demo    outline a breast tumour on a real ultrasound image (no GPU, key or download)"
	@echo "make serve   the HTTP service on 127.0.0.1:8000"
	@echo "make evaluate  every table of the README, on the image data in ../shared/data"
	@echo "make test    every test, the Redis path included"
	@echo "make check   formatting, lint and types"
	@echo "make format  rewrite the formatting"

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

$(VENV)/.evaluate: $(VENV)/.base
	$(PIP) -e '.[evaluate]'
	@touch $@

demo: $(VENV)/.base
	@$(BIN)/medsam3 demo

serve: $(VENV)/.base
	@$(BIN)/medsam3 serve

# Words, boxes, rough boxes and the agent on the test split; the phrases of the paper's Table 6; and
# what every threshold would give.
DATA ?= ../shared/data
evaluate: $(VENV)/.evaluate
	$(BIN)/medsam3 evaluate --data $(DATA) --split test --mode all agent --foreign 2 \
		--out out/evaluation
	$(BIN)/medsam3 evaluate --data $(DATA) --split test --sets monuseg dsb2018 \
		--phrases nuclei cell --mode T T+I --out out/phrases
	$(BIN)/medsam3 evaluate --data $(DATA) --split test --mode T --threshold 0 --no-pictures \
		--out out/absence

test: $(VENV)/.dev redis
	$(BIN)/python -m pytest

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

redis:
	@command -v redis-server >/dev/null || bash docker/install_redis.sh

# Resolve everything anew and write down what came out.
constraints: $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet --upgrade -e '.[dev,sam3]'
	{ echo '# Every version the project is built and tested with (Python 3.11). Made by `make constraints`.'; \
	  $(BIN)/python -m pip freeze --all --exclude-editable | grep -v '^pip==' | sed 's/+cpu//'; } > constraints.txt

clean:
	rm -rf $(VENV) build dist out .mypy_cache .pytest_cache .ruff_cache .hypothesis
