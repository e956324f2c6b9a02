# make demo: train ResNet-18 on the digits.   make test: the tests.   make check: the linter.   make bench: timings.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check bench clean

demo: .venv/installed
	$(BIN)/numpy-resnet train
	$(BIN)/numpy-resnet evaluate

test: .venv/installed-test
	$(BIN)/python -m pytest
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -q -m "not real_size" tests/ops tests/kernels tests/layers

check: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: .venv/installed
	$(BIN)/python benchmarks/network.py
	$(BIN)/python benchmarks/layers.py
	$(BIN)/python benchmarks/teaching.py
	$(BIN)/python benchmarks/scaling.py
	$(BIN)/python benchmarks/report.py

clean:
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .hypothesis
	find numpy_resnet tests tutorials benchmarks -name __pycache__ -prune -exec rm -rf {} +

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

.venv/installed-test: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test]"
	touch $@
