# Two commands are all the set-up: `make run` and `make test`. Both need Python 3.11 or newer and make.
PYTHON ?= python3
VENV   ?= .venv
EXTRAS ?= .venv-extras
BIN     = $(VENV)/bin
PEERS    = orthanc orthanc-dicomweb orthanc-gdcm dcmtk libgdcm-tools dicom3tools libpixelmed-java default-jre-headless poppler-utils nginx-light
PIXELMED = /usr/share/java/pixelmed.jar

.PHONY: help run test test-browser test-extras test-peers test-wheel fuzz audit bench lint docs clean

help: ## Say what there is.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("hilum needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Do: make PYTHON=python3.12 …" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'

# A stamp for each set of packages, so that a second call starts at once.
$(VENV)/.run: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --group test
	@touch $@

$(VENV)/.browser: $(VENV)/.test
	$(BIN)/python -m pip install --quiet --group browser
	@touch $@

$(VENV)/.dev: $(VENV)/.test
	$(BIN)/python -m pip install --quiet --group dev
	@touch $@

$(VENV)/.audit: $(VENV)/.test
	$(BIN)/python -m pip install --quiet --group audit
	@touch $@

$(VENV)/.docs: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --group docs
	@touch $@

run: $(VENV)/.run ## Start the service on port 5000 with the weights that ship.
	$(BIN)/hilum serve $(ARGS)

test: $(VENV)/.test ## Run the Python tests, with coverage.
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered --cov-fail-under=90 $(ARGS)

test-browser: $(VENV)/.browser ## Run the page's tests in Chromium, which apt installs where it is missing.
	@command -v chromium >/dev/null || { apt-get update -q && apt-get install -qy --no-install-recommends chromium fonts-dejavu-core fonts-noto-color-emoji; }
	$(BIN)/python -m pytest -m browser tests/browser $(ARGS)

$(EXTRAS)/.extras: pyproject.toml
	test -x $(EXTRAS)/bin/python || { $(PYTHON) -m venv $(EXTRAS) && $(EXTRAS)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'; }
	$(EXTRAS)/bin/python -m pip install --quiet --editable . --group extras
	@touch $@

bench: $(VENV)/.run $(EXTRAS)/.extras ## Measure speed beside Keras, torch and torchxrayvision: ten minutes on a machine that does nothing else.
	$(BIN)/python -m bench.speed --peers $(EXTRAS)/bin/python $(ARGS)

test-extras: $(EXTRAS)/.extras ## Run what needs torch 2.14, torchvision, timm, Keras, TensorFlow, Dask or an S3 server, in an environment of its own.
	# In processes of their own: TensorFlow and torchvision crash when one process loads both.
	$(EXTRAS)/bin/python -m pytest -m extras tests/extras/test_keras.py $(ARGS)
	$(EXTRAS)/bin/python -m pytest -m extras tests/extras/test_torchvision.py tests/extras/test_torchxrayvision.py tests/extras/test_timm.py $(ARGS)
	$(EXTRAS)/bin/python -m pytest -m extras tests/extras/test_archive.py $(ARGS)
	$(EXTRAS)/bin/python -m pytest tests/training $(ARGS)

test-peers: $(VENV)/.test ## Run what needs a hospital's programs (Orthanc, dcmtk, dicom3tools, PixelMed) or nginx, which apt installs where they are missing.
	@( for program in Orthanc storescu dciodvfy gdcmconv java pdftotext nginx; do command -v $$program >/dev/null || exit 1; done ) && test -e $(PIXELMED) || { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $(PEERS); }
	$(BIN)/python -m pytest -m peers tests/peers $(ARGS)

fuzz: $(VENV)/.test ## Spoil files of every kind for ten minutes, or as ARGS says (--minutes N).
	$(BIN)/python bench/fuzz.py $(ARGS)

test-wheel: $(BIN)/python ## Build wheel and sdist, and test the wheel where nothing else is installed.
	sh .ci/wheel "$(BIN)/python"

audit: $(VENV)/.audit ## Look for known vulnerabilities and for secrets; write a bill of materials to build/sbom.cdx.json.
	$(BIN)/python .ci/audit.py build/sbom.cdx.json

lint: $(VENV)/.dev ## Check style, types and layers.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.docs ## Build the documentation into site/.
	$(BIN)/zensical build --clean --strict

clean: ## Remove what was built and the environments.
	rm -rf $(VENV) $(EXTRAS) build dist site .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
