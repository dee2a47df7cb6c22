# The front door of a checkout. Every target works on a fresh clone: the first one makes .venv and installs into it.
#
#   make chat      open the chat                      make test     run the tests (ARGS="-k turn" narrows them)
#   make check     style, types, doors, docs          make bench    measure, beside other programs
#   make docs      write docs/cli.md and the commands in docs/install.md from the code
#   make screenshots   take the pictures of docs/screens.md, with the bundled model
#   make snapshots     take the pictures anew that the tests compare screens with
#   make test-milvus   the tests of the vector index on Milvus too; installs pymilvus and milvus-lite (450 MB)
#   make clean     remove .venv and every cache
#
# PYTHON=python3.13 picks the interpreter, LLMCHAT_BUILD=cpu|cuda|metal|vulkan|rocm what llama.cpp runs on.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ARGS ?=

.PHONY: help chat test test-milvus check bench docs screenshots snapshots clean FORCE

help:
	@sed -n '2,/^$$/s/^# \{0,1\}//p' Makefile

chat: $(STAMP)
	@$(BIN)/llmchat chat $(ARGS)

# -rs: what is skipped here is named with its reason.
test: $(STAMP)
	@$(BIN)/python -m pytest -rs $(ARGS)

test-milvus: $(STAMP)
	@$(BIN)/python -c 'import pymilvus, milvus_lite' 2>/dev/null \
		|| $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[milvus]' milvus-lite
	@$(BIN)/python -m pytest tests/rag/test_vectors.py tests/rag/test_milvus.py tests/tui/test_docs_milvus.py $(ARGS)

check: $(STAMP)
	@echo "== ruff: style"
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@echo "== mypy: types"
	@$(BIN)/mypy
	@echo "== import-linter: doors between the rooms"
	@$(BIN)/lint-imports
	@echo "== docs: as the code says"
	@$(BIN)/python docs/generate.py --check

bench: $(STAMP)
	@$(BIN)/python -m tests.benchmarks.run $(ARGS)
	@$(BIN)/python -m tests.benchmarks.documents
	@$(BIN)/python -m tests.benchmarks.answers
	@$(BIN)/python -m tests.benchmarks.fit

docs: $(STAMP)
	@$(BIN)/python docs/generate.py

screenshots: $(STAMP)
	@$(BIN)/python -m docs.screenshots

snapshots: $(STAMP)
	@LLMCHAT_UPDATE_SNAPSHOTS=1 $(BIN)/python -m pytest tests/tui/screen/test_snapshots.py

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find engine rag tui tests docs -name __pycache__ -type d -prune -exec rm -rf {} +

# An editable install: only new dependencies need it again, changed code does not.
$(STAMP): pyproject.toml constraints.txt .ci/install.sh
	@.ci/install.sh
	@touch $@

# Another accelerator than the one that was built: install again.
ifneq ($(LLMCHAT_BUILD),)
ifneq ($(LLMCHAT_BUILD),$(shell cat $(VENV)/.accelerator 2>/dev/null))
$(STAMP): FORCE
endif
endif
FORCE:
