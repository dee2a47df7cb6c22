"""`llmchat` with an embedder that needs no model, as a process: `python docs_child.py docs watch`."""

from __future__ import annotations

import sys

from tests.tui.fake_ask_child import hash_embedder

from llmchat_tui.cli import run
from llmchat_tui.cli.app import App

if __name__ == "__main__":
    sys.exit(run(App(open_embedder=hash_embedder), sys.argv[1:]))
