"""`llmchat templates show`: what a template is, and the messages that it makes of a question. Loads no model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from llmchat_tui.cli.common import app_of, print_json, print_rows
from llmchat_tui.cli.templates_common import complete_template, param_option
from llmchat_tui.sanitize import sanitize, sanitize_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmchat_engine import Message
    from llmchat_tui.templates.values import Template

_QUESTION = "<your question>"


@click.command()
@click.argument("name", shell_complete=complete_template)
@click.option("--input", "question", default=_QUESTION, metavar="TEXT", help="Show the messages for this question.")
@param_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def show(context: click.Context, name: str, question: str, params: tuple[tuple[str, str], ...], as_json: bool) -> None:
    """Print what a template is, and the messages that the model would be given."""
    from llmchat_tui.templates.finding import find_template
    from llmchat_tui.templates.showing import example_messages

    template = find_template(name, app_of(context).paths.templates_dir)
    messages = example_messages(template, dict(params), question)
    if as_json:
        print_json(_facts(template) | {"messages": [{"role": said.role, "text": said.text} for said in messages]})
    else:
        print_rows([*_head(template), *_said(messages)])


def _head(template: Template) -> Iterator[str]:
    from llmchat_tui.templates.showing import rows_of

    yield sanitize_line(f"{template.name}: {template.description}" if template.description else template.name)
    rows = [("from", str(template.path or "built in")), *rows_of(template)]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        yield sanitize_line(f"  {name:<{width}}  {value}")


def _said(messages: tuple[Message, ...]) -> Iterator[str]:
    for message in messages:
        yield ""
        yield f"--- {message.role} ---"
        yield sanitize(message.text)


def _facts(template: Template) -> dict[str, object]:
    """Returns everything that a template says as a JSON object."""
    from dataclasses import asdict

    from llmchat_tui.inputs import as_text

    return asdict(template) | {"path": as_text(str(template.path)) if template.path else None}
