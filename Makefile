# Thin names for what run.py does; Windows has no make and uses run.py.
PYTHON ?= python3
VENV := .venv/bin/python

.PHONY: run test parity fmt i18n lock sbom audit fuzz chaos mutants

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

# requirements.in says what is wanted; UPGRADE=1 takes the newest of everything that it does not name.
lock:
	$(VENV) tools/supply.py lock $(if $(UPGRADE),--upgrade)

sbom:
	$(VENV) tools/supply.py sbom

audit:
	$(VENV) tools/supply.py audit

# Ten minutes for each reader of outside bytes; FUZZ_SECONDS shortens it, READERS="paste explain" chooses.
fuzz:
	$(VENV) -m tests.fuzz $(READERS)

# 20,000 tests while everything goes wrong; TESTS, STORE=postgresql, SEED and MINUTES change it.
chaos:
	$(VENV) -m tests.chaos $(if $(TESTS),--tests $(TESTS)) $(if $(STORE),--store $(STORE)) $(if $(SEED),--seed $(SEED)) \
		$(if $(MINUTES),--minutes $(MINUTES))

# Small changes to the modules that guard a key, one at a time: does a test notice each? NAMES="bfai.vault.*" chooses.
mutants:
	$(VENV) tools/mutants.py run $(NAMES)
