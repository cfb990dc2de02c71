# Thin names for what run.py does; Windows has no make and uses run.py.
PYTHON ?= python3
VENV := .venv/bin/python

.PHONY: run test parity fmt i18n

run:
	$(PYTHON) run.py

test:
	$(PYTHON) run.py test

parity:
	$(PYTHON) run.py parity

fmt:
	$(VENV) -m ruff format .
	$(VENV) -m ruff check --fix .

i18n:
	$(VENV) tools/i18n.py update
