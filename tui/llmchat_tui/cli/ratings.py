"""`llmchat chats ratings` and `export-ratings`: what the user thought of replies, to read and as a set of questions.

Knows no SQL and no keys: ratings are given in the chat. Texts are data: on a terminal they are sanitised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from llmchat_tui.cli.common import app_of, console_of, print_json, print_rows, print_text
from llmchat_tui.sanitize import sanitize_line

if TYPE_CHECKING:
    from llmchat_tui.history import StoredMessage

_LONGEST = 80
_HINT = "in the chat, + and - on a reply rate it"


@click.command()
@click.option("--good", "only", flag_value="good", help="Only those that were rated good.")
@click.option("--bad", "only", flag_value="bad", help="Only those that were rated bad.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.pass_context
def ratings(context: click.Context, only: str | None, as_json: bool) -> None:
    """Print the replies that were rated, the oldest first."""
    from llmchat_tui.evaluation.rated import as_line

    found = _rated(context, only)
    if as_json:
        print_json([{**as_line(*pair), "chat": pair[1].conversation_id} for pair in found])
        return
    if not found:
        console_of(app_of(context)).info(f"no reply was rated; {_HINT}")
    print_rows(line for pair in found for line in _lines(*pair))


@click.command(name="export-ratings")
@click.argument("file", default="-", metavar="[FILE.jsonl]")
@click.option("--good", "only", flag_value="good", help="Only those that were rated good.")
@click.option("--bad", "only", flag_value="bad", help="Only those that were rated bad.")
@click.option("--force", is_flag=True, help="Replace FILE where it exists.")
@click.pass_context
def export_ratings(context: click.Context, file: str, only: str | None, force: bool) -> None:
    """Write the replies that were rated as a set of questions for llmchat eval.

    A good reply is the exact answer that is expected; a bad one is in the set for reading alone, and eval skips it.
    """
    from llmchat_tui.evaluation.rated import as_set
    from llmchat_tui.export_file import write_export

    text = as_set(_rated(context, only))
    if not text:
        console_of(app_of(context)).warn(f"no reply was rated; {_HINT}")
    if file == "-":
        print_text(text)
    else:
        write_export(file, text, force)


def _rated(context: click.Context, only: str | None) -> list[tuple[StoredMessage, StoredMessage]]:
    wanted = {"good": (1,), "bad": (-1,)}.get(only or "", (1, -1))
    with app_of(context).history() as history:
        return [pair for pair in history.rated() if pair[1].rating in wanted]


def _lines(question: StoredMessage, reply: StoredMessage) -> list[str]:
    sign = "+" if reply.rating > 0 else "-"
    lines = [f"{sign} {_short(question.text)}", f"    {_short(reply.text)}"]
    return [*lines, f"    note: {_short(reply.rating_note)}"] if reply.rating_note else lines


def _short(text: str) -> str:
    line = sanitize_line(" ".join(text.split()))
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
