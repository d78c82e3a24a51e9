# make setup   an environment in .venv with the package and what its tests need
# make test    the tests
# make demo    the main job on the embedded default, into demo/
# make bench   speed and memory: ratios of a step and of an explanation to bare passes
# make lint    style; `make types` for mypy
# make clean   removes what was built and the demo, keeps .venv and results

VENV := .venv
PYTHON := $(VENV)/bin/python
PIP := $(PYTHON) -m pip
READY := $(VENV)/.ready
READY_DEV := $(VENV)/.ready-dev

.PHONY: setup test demo bench lint types clean

setup: $(READY)

test: $(READY)
	HF_HUB_OFFLINE=1 $(PYTHON) -m pytest

demo: $(READY)
	rm -rf demo/training
	$(PYTHON) train.py hparams/lmac_zs_mini.yaml --output_folder demo/training \
		--clips_per_sound 6 --number_of_epochs 4 --lr_annealing "{n_warmup_steps: 1}"
	$(PYTHON) -m speechbrain_lmac.demo --out demo --trained demo/training/export

bench: $(READY)
	$(PYTHON) benchmarks/speed.py --classifier laion --batch 4

lint: $(READY_DEV)
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m yamllint --strict .yamllint .pre-commit-config.yaml hparams recipes \
		speechbrain_lmac

types: $(READY_DEV)
	$(PYTHON) -m mypy

clean:
	rm -rf build dist demo *.egg-info .hypothesis .*_cache
	find . -path ./$(VENV) -prune -o -name __pycache__ -exec rm -rf {} +

$(PYTHON):
	@for python in python3.11 python3; do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
		then exec $$python -m venv $(VENV); fi; \
	done; \
	echo "No Python >= 3.11 found as python3.11 or python3: install one." >&2; exit 1

# torch first: whichever build pip is set up to bring, the rest adapts to it
$(READY): setup.py constraints.txt | $(PYTHON)
	$(PIP) install -c constraints.txt torch
	$(PIP) install -c constraints.txt -e '.[test]'
	$(PIP) install -c constraints.txt --no-deps laion-clap
	$(PYTHON) tools/mend_torchaudio.py
	touch $@

$(READY_DEV): $(READY)
	$(PIP) install -c constraints.txt -e '.[test,dev]'
	touch $@
