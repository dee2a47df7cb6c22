"""`llmchat chats`: find, read, export, import and remove chats.

Knows no SQL, and of the engine only how it is told to forget a chat. Titles and messages are data: on a terminal they
are sanitised.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from llmchat_tui.cli.common import app_of, console_of, print_json, print_rows, print_text
from llmchat_tui.cli.ratings import export_ratings, ratings
from llmchat_tui.console import fit_line, terminal_columns
from llmchat_tui.errors import UsageError
from llmchat_tui.sanitize import sanitize_line

if TYPE_CHECKING:
    from llmchat_tui.history import Conversation, History, Hit, StoredMessage

_SHORT_ID = 10  # an id starts with 10 characters of time, so fewer do not tell apart what one script made


@click.group()
def chats() -> None:
    """Find, read, export, import and remove chats; REF is an id, the start of one, or a title."""


chats.add_command(ratings)
chats.add_command(export_ratings)


@chats.command(name="list")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Print at most so many chats.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.pass_context
def list_(context: click.Context, limit: int, as_json: bool) -> None:
    """Print the newest chats, one on a line."""
    app = app_of(context)
    with app.history() as history:
        found = history.conversations(limit=limit)
    if as_json:
        print_json(found)
        return
    if not found:
        console_of(app).info("no chats yet; llmchat ask starts one")
    print_rows([_fitted(_row(conversation)) for conversation in found])


@chats.command()
@click.argument("ref")
@click.option("--json", "as_json", is_flag=True, help="Print the chat and the messages of the path as JSON.")
@click.pass_context
def show(context: click.Context, ref: str, as_json: bool) -> None:
    """Print a chat, from its first question to its newest message."""
    from llmchat_tui.export import to_json, transcript

    with app_of(context).history() as history:
        conversation = history.conversation(ref)
        messages = _newest_path(history, conversation)
    print_text(to_json(conversation, messages).decode() if as_json else transcript(conversation, messages))


@chats.command()
@click.argument("query", nargs=-1, required=True)
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Print at most so many hits.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.pass_context
def search(context: click.Context, query: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Print the messages that hold every word of QUERY."""
    app = app_of(context)
    with app.history() as history:
        hits = history.search(" ".join(query), limit=limit)
    if as_json:
        print_json(hits)
        return
    if not hits:
        console_of(app).info("no message holds all of these words")
    print_rows([_fitted(_hit_row(hit)) for hit in hits])


@chats.command()
@click.argument("ref")
@click.option(
    "--format",
    "form",
    type=click.Choice(["md", "json"]),
    default="md",
    show_default=True,
    help="Markdown holds the newest path, JSON every message with token ids, settings and statistics.",
)
@click.option("-o", "--output", default="-", metavar="FILE", help="Write to FILE and not to stdout.")
@click.option("--force", is_flag=True, help="Replace FILE where it exists.")
@click.pass_context
def export(context: click.Context, ref: str, form: str, output: str, force: bool) -> None:
    """Write a chat as Markdown or JSON."""
    from llmchat_tui.export import to_json, to_markdown
    from llmchat_tui.export_file import write_export

    with app_of(context).history() as history:
        conversation = history.conversation(ref)
        if form == "json":
            text = to_json(conversation, history.messages(conversation.id)).decode()
        else:
            text = to_markdown(conversation, _newest_path(history, conversation))
    if output == "-":
        print_text(text)
    else:
        write_export(output, text, force)


@chats.command(name="import")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print a JSON list of the chats; `new` is false for those that were here already.",
)
@click.pass_context
def import_(context: click.Context, files: tuple[str, ...], as_json: bool) -> None:
    """Add the chats of FILEs; - is stdin.

    A FILE is a JSON export of llmchat, ChatGPT's conversations.json or the zip around it, or what llm logs --json
    printed. What it holds besides text is left out, and told; a chat that is here already is not added again.
    """
    from llmchat_tui.cli.import_file import read_files
    from llmchat_tui.taking import ALL, Taken, take_over

    app = app_of(context)
    found = read_files(files, console_of(app))
    taken = Taken()
    try:
        with app.history() as history:
            take_over(found, history, history.conversations(ALL), taken)
    finally:  # a full disk in the middle keeps what is before it
        if as_json:
            print_json([*_marked(taken.new, new=True), *_marked(taken.known, new=False)])
        else:
            print_rows([_fitted(_imported_row(conversation)) for conversation in taken.new])
        if taken.known or len(taken.new) < len(found):
            console_of(app).warn(str(taken))


@chats.command()
@click.argument("refs", nargs=-1, required=True, metavar="REF...")
@click.option("--yes", is_flag=True, help="Remove without asking.")
@click.pass_context
def rm(context: click.Context, refs: tuple[str, ...], yes: bool) -> None:
    """Remove chats with all of their messages, and what the engine keeps of them."""
    app = app_of(context)
    with app.history() as history:
        # Every name is looked up before the first chat goes, so a wrong one removes nothing.
        found = {conversation.id: conversation for conversation in map(history.conversation, refs)}
        if not yes and not _agreed(list(found.values())):
            console_of(app).info("nothing was removed")
            return
        for conversation_id in found:
            # First: a command that is killed in between leaves a chat that is read anew, and never the other way.
            if not app.forget_chat(conversation_id):
                console_of(app).warn("what the engine kept of the chat could not be removed: llmchat kv clear")
            history.delete(conversation_id)


@chats.command()
@click.argument("ref")
@click.argument("title")
@click.pass_context
def rename(context: click.Context, ref: str, title: str) -> None:
    """Give a chat another title."""
    if not title.strip():
        raise UsageError("the title is empty", hint="llmchat chats rename REF TITLE")
    with app_of(context).history() as history:
        history.rename(history.conversation(ref).id, title)


@chats.command()
@click.pass_context
def path(context: click.Context) -> None:
    """Print the path of the file that holds all chats."""
    print_text(f"{app_of(context).paths.chats_db}\n")


def _newest_path(history: History, conversation: Conversation) -> tuple[StoredMessage, ...]:
    return history.path(conversation.leaf_id) if conversation.leaf_id else ()


def _agreed(conversations: list[Conversation]) -> bool:
    """Asks whether these chats may go.

    Raises:
        UsageError: where nobody is there to ask.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("cannot ask before removing", "stdin is not a terminal", "add --yes to remove without asking")
    for conversation in conversations:
        click.echo(f"{_row(conversation)}  ({conversation.message_count} messages)", err=True)
    return click.confirm("Remove for ever?", default=False, err=True)


def _row(conversation: Conversation) -> str:
    """Returns the line of one chat, sanitised."""
    from llmchat_tui.export import local_time

    when = local_time(conversation.updated_at)
    return f"{sanitize_line(conversation.id[:_SHORT_ID])}  {when:<16}  {sanitize_line(conversation.title)}"


def _marked(conversations: Iterable[Conversation], *, new: bool) -> list[dict[str, object]]:
    """Returns chats as JSON objects that say whether an import made them."""
    import msgspec

    return [{**msgspec.to_builtins(conversation), "new": new} for conversation in conversations]


def _imported_row(conversation: Conversation) -> str:
    """Returns the line of a new chat; imported in one go, only whole ids tell them apart."""
    return f"{conversation.id}  {sanitize_line(conversation.title)}  ({conversation.message_count} messages)"


def _hit_row(hit: Hit) -> str:
    return f"{_row(hit.conversation)}: {sanitize_line(hit.snippet)}"


def _fitted(row: str) -> str:
    """Returns a row that does not wrap on a terminal; a pipe gets it whole."""
    if sys.stdout is None or not sys.stdout.isatty():
        return row
    return fit_line(row, terminal_columns(sys.stdout))[0]
