"""`llmchat docs`: collections of documents. The list of its commands; each subject has a file of its own.

Nothing of the document room is imported before a command runs.
"""

from __future__ import annotations

import click

from llmchat_tui.cli.docs_add import add, update
from llmchat_tui.cli.docs_doctor import doctor
from llmchat_tui.cli.docs_eval import evaluate
from llmchat_tui.cli.docs_export import export
from llmchat_tui.cli.docs_list import ls, rm, show
from llmchat_tui.cli.docs_search import search
from llmchat_tui.cli.docs_watch import watch


@click.group()
def docs() -> None:
    """Index documents, search them, keep them up to date.

    A collection is a folder, or one file, under a name. Ask it with llmchat ask -d NAME, all of them with --docs.
    """


for command in (add, doctor, evaluate, export, ls, rm, search, show, update, watch):
    docs.add_command(command)
