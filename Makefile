# make demo: train ResNet-18 on the digits.   make test: the tests.   make check: linter, tutorials, site.
# make notebooks: the tutorials as notebooks.   make docs: the site, in build/site.   make bench: timings.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check notebooks docs bench clean

demo: .venv/installed
	$(BIN)/numpy-resnet train
	$(BIN)/numpy-resnet evaluate

test: .venv/installed-test
	$(BIN)/python -m pytest
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -q -m "not real_size" tests/ops tests/kernels tests/layers

check: .venv/installed-test docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	for chapter in 02 03 04 05 07; do NUMBA_DISABLE_JIT=1 $(BIN)/python tutorials/$$chapter*.py >/dev/null || exit 1; done
	for chapter in 10 12; do NUMPY_RESNET_DATA=nowhere $(BIN)/python tutorials/$$chapter*.py >/dev/null || exit 1; done

notebooks: .venv/installed-docs
	$(BIN)/python tools/notebooks.py

docs: notebooks
	$(BIN)/python -m sphinx -q -W --keep-going docs build/site
	$(BIN)/python tools/check_site.py build/site

bench: .venv/installed
	$(BIN)/python benchmarks/network.py
	$(BIN)/python benchmarks/layers.py
	$(BIN)/python benchmarks/teaching.py
	$(BIN)/python benchmarks/scaling.py
	$(BIN)/python benchmarks/report.py

clean:
	rm -rf .venv build docs/tutorials docs/exercises docs/explorer tutorials/notebooks *.egg-info .pytest_cache .ruff_cache .hypothesis
	find numpy_resnet tests tutorials benchmarks -name __pycache__ -prune -exec rm -rf {} +

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

.venv/installed-docs: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[docs]"
	touch $@

.venv/installed-test: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test]"
	touch $@
