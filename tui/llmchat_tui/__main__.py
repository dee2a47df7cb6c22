"""`python -m llmchat_tui` is `llmchat`."""

from llmchat_tui.cli import main

main()
