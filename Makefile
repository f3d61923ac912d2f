# Each target makes what it needs in .venv, from nothing but python3, and works without a network from
# then on: until pyproject.toml changes, nothing is installed again.

PYTHON := python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# The caller's environment has no say in which Python or which chainrule runs.
unexport PYTHONHOME PYTHONPATH PYTHONSAFEPATH PYTHONWARNINGS VIRTUAL_ENV PIP_PREFIX PIP_TARGET PIP_USER

.NOTPARALLEL:
.PHONY: help run test check bench clean

help: ## list these targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile

run: $(VENV)/.has-base ## train a network on Iris; its files go to runs/
	@mkdir -p runs
	@cd runs && ../$(BIN)/chainrule train iris

test: $(VENV)/.has-test ## the tests and the examples in the docstrings
	$(BIN)/python -m pytest -n auto --ignore=tests/oracles

check: $(VENV)/.has-test $(VENV)/.has-lint $(VENV)/.has-oracles ## style, types, and the other libraries as oracles
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest -n auto tests/oracles/test_jax.py
	$(BIN)/python -m pytest -n auto tests/oracles/test_llvm_backend.py
	$(BIN)/python -m pytest -n auto tests/oracles --ignore-glob='*/test_jax.py' \
	    --ignore-glob='*/test_llvm_backend.py' --ignore=tests/oracles/torch_facade
	$(BIN)/python -m pytest -n auto tests/oracles/torch_facade
	$(BIN)/python tests/diagnosis/score.py --quick

bench: $(VENV)/.has-oracles $(VENV)/.has-jit $(VENV)/.has-sklearn $(VENV)/.has-bench ## our speed and memory beside those of the other libraries
	$(BIN)/python -m benchmarks

clean: ## remove everything that these targets made, .venv included
	rm -rf $(VENV) runs .hypothesis .mypy_cache .nox .pytest_cache .ruff_cache build dist
	find src tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

# One thread for each test process: together they would ask for more than there are cores. JAX, native code, PyTorch, and
# PyTorch with its own test tables get processes of their own: all in one, PyTorch has crashed, and once LLVM's linker.
test check: export OPENBLAS_NUM_THREADS := 1
test check: export OMP_NUM_THREADS := 1

# An environment that was made in another folder would run that folder's code: make it again. So too
# where its Python is gone.
ifneq ($(shell $(BIN)/python -I -c 'print(open("$(VENV)/.made-in").read())' 2>/dev/null),$(CURDIR))
.PHONY: $(VENV)/.made-in
endif

$(VENV)/.made-in:
	@command -v $(PYTHON) >/dev/null || \
	    { echo 'chainrule needs Python 3.11 or newer, and there is no $(PYTHON) here' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; found = sys.version_info[:2]; sys.exit(found < (3, 11) and \
	    "chainrule needs Python 3.11 or newer, and $(PYTHON) is %d.%d: name another, as in \
	make PYTHON=python3.12 run" % found)'
	$(PYTHON) -m venv --clear $(VENV)
	@printf '%s' '$(CURDIR)' > $@

$(VENV)/.has-base: $(VENV)/.made-in pyproject.toml
	$(INSTALL) --editable .
	@touch $@

$(VENV)/.has-oracles: $(VENV)/.has-base
	$(INSTALL) "$$(grep -o 'torch==[0-9.]*' pyproject.toml)"
	$(INSTALL) --editable '.[oracles]'
	@touch $@

$(VENV)/.has-%: $(VENV)/.has-base
	$(INSTALL) --editable '.[$*]'
	@touch $@
