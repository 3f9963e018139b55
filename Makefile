# make demo   a virtual environment, the study quickstart, its table and report
# make test   everything the tests need, and the tests
# make test-fast   those without processes, browser and many figures
# make lint   ruff and mypy
# make test-slurm   studies on a real Slurm, started on this machine and stopped again
# make bench  the benchmarks
# make docs   tables and verdicts in README.md and docs/, filled in from the records
# make reports   every report: its page and all its figures too, which are not kept in the repository
PYTHON ?= python3
BIN := .venv/bin
# Files are dealt to some processes, in the order of tests/conftest.py: the slow ones first. On many cores: make test PROCESSES=8
PROCESSES ?= 2
PARALLEL := -n $(PROCESSES) --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-fast test-slurm lint browser slurm bench docs reports clean

demo: .venv/.installed
	$(BIN)/ablate run quickstart --root demo

test: .venv/.installed-dev browser
	$(BIN)/python -m pytest $(PARALLEL)

test-fast: .venv/.installed-dev
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow and not slurm"

test-slurm: .venv/.installed-dev slurm
	$(BIN)/python -m pytest -m slurm tests/slurm

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# In small, on the CPU. SCRIPT=PATH/TO/timm/train.py measures timm's too, CIFAR=PATH and JPEGS=PATH add their tables;
# on a GPU: make bench DEVICE=cuda. docs/benchmarks.md tells them one by one.
DEVICE ?= cpu
bench: .venv/.installed-dev
	$(BIN)/python benchmarks/tool_speed.py
	$(BIN)/python benchmarks/dispatch.py
	$(BIN)/python benchmarks/training_rate.py --device $(DEVICE) $(if $(SCRIPT),--script $(SCRIPT)) $(if $(CIFAR),--cifar $(CIFAR))
	$(BIN)/python benchmarks/utilisation.py --device $(DEVICE)
	$(if $(JPEGS),$(BIN)/python benchmarks/input_pipeline.py --data $(JPEGS))
	$(if $(CIFAR),$(BIN)/python benchmarks/cifar10.py --data $(CIFAR))

docs: .venv/.installed
	$(BIN)/python docs/fill.py

reports: .venv/.installed
	$(BIN)/ablate report --all

.venv/.installed: pyproject.toml constraints.txt
	@echo "installing into .venv; the first time takes some minutes, torch is large"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/.installed-dev: .venv/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

# The report's page is tested in a real browser, installed where apt can; elsewhere those tests say why they skip.
browser:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && timeout 300 sh -c 'apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null'; } \
	  || echo "Chromium is not installed and cannot be installed here: browser tests will be skipped"

# Slurm with its accounting, installed where apt can; the tests start daemons of their own.
SLURM := slurm-wlm munge slurmdbd mariadb-server-core mariadb-client-core
slurm:
	@export PATH="$$PATH:/usr/sbin"; { command -v slurmctld && command -v slurmdbd && command -v mariadbd; } >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && timeout 300 sh -c 'apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(SLURM) >/dev/null'; } \
	  || echo "Slurm is not installed and cannot be installed here: its tests will be skipped, or fail under REQUIRE_SLURM=1"

clean:
	rm -rf .venv demo runs build dist
