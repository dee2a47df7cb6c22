"""`llmchat templates`: prompt templates. The list of its commands; each subject has a file of its own."""

from __future__ import annotations

import click

from llmchat_tui.cli.templates_check import check
from llmchat_tui.cli.templates_edit import edit, import_, new, rm
from llmchat_tui.cli.templates_list import list_, path
from llmchat_tui.cli.templates_show import show


@click.group()
def templates() -> None:
    """List, show, edit and import prompt templates.

    A template says how questions are asked: system prompt, words around the question, worked examples, reasoning,
    sampling, the form of the answer. Ask with one: llmchat ask -t NAME.
    """


for command in (check, edit, import_, list_, new, path, rm, show):
    templates.add_command(command)
