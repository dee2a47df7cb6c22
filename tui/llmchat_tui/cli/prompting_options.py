"""The flags about how a question is asked: templates, examples, chains of thought, votes, thoughts, the answer's form.

Only what was typed, and what excludes each other in it; ask_recipe.py makes a recipe of them. Reads no file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from llmchat_tui.cli.options import decorated
from llmchat_tui.cli.templates_common import complete_template, param_option

if TYPE_CHECKING:
    from llmchat_engine import Thinking
    from llmchat_engine.prompting.chain_of_thought import Cot
    from llmchat_tui.templates.values import ShotsBy

_Command = TypeVar("_Command", bound=Callable[..., Any])
_MOST_BUDGET = 1_000_000
_PATH = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True)
class PromptingFlags:
    """What was typed; None, or an empty text, where nothing was."""

    template: str = ""
    params: tuple[tuple[str, str], ...] = ()
    save: str = ""
    shots: str = ""
    num_shots: int | None = None
    shots_by: ShotsBy | None = None
    cot: Cot | None = None
    votes: int | None = None
    chains: bool = False
    think: str = ""
    no_think: bool = False
    keep_thoughts: bool = False
    hide_reasoning: bool = False
    schema: str | None = None
    schema_multi: str | None = None
    form: Literal["json", "text"] | None = None
    grammar_file: Path | None = None
    logprobs: bool = False
    top_logprobs: int | None = None

    @property
    def thinking(self) -> tuple[Thinking, int | None] | None:
        """Whether the model shall think, and how long at most; None where no flag says."""
        if self.no_think or self.think in ("off", "0"):
            return "off", None
        if not self.think:
            return None
        if self.think.isdecimal():
            return "on", int(self.think)
        return ("on" if self.think == "on" else "auto"), None

    @property
    def told_logprobs(self) -> int | None:
        """How many likely tokens are told at each place; None tells none."""
        return self.top_logprobs if self.top_logprobs is not None else 0 if self.logprobs else None

    def form_flag(self) -> str:
        """Returns the flag that says which form the answer has; empty where none does."""
        return next(self._form_flags(), "")

    def _form_flags(self) -> Iterator[str]:
        given = {
            "--schema": self.schema,
            "--schema-multi": self.schema_multi,
            "--format": self.form,
            "--grammar": self.grammar_file,
        }
        return (flag for flag, value in given.items() if value is not None)

    def check(self) -> None:
        """Raises where flags exclude each other, or one says nothing.

        Raises:
            UsageError: naming them.
        """
        from llmchat_tui.errors import UsageError

        if self.save and self.template:
            hint = f"llmchat templates edit {self.template}"
            raise UsageError("--save and --template exclude each other", "a template is not made of another", hint)
        if self.params and not self.template:
            raise UsageError("--param is about a template", "there is none", "add -t NAME")
        if self.no_think and self.think not in ("", "off"):
            raise UsageError(f"--no-think and --think {self.think} exclude each other")
        if len(both := list(self._form_flags())) > 1:
            raise UsageError(f"{both[0]} and {both[1]} exclude each other", "an answer follows one form")


def prompting_flags(flags: dict[str, Any]) -> PromptingFlags:
    """Returns these flags; takes them out of `flags`."""
    return PromptingFlags(**{field.name: flags.pop(field.name) for field in fields(PromptingFlags)})


def template_options(command: _Command) -> _Command:
    """Adds the flags that name a template; they come as `template` and `params`."""
    decorators = (
        click.option("-t", "--template", default="", metavar="NAME", shell_complete=complete_template,
                     help="Ask as this template says; llmchat templates lists them."),
        click.option("-r", "--role", "template", hidden=True, metavar="NAME"),
        param_option,
    )  # fmt: skip
    return decorated(command, decorators)


def prompting_options(command: _Command) -> _Command:
    """Adds how the question is asked; `prompting_flags` takes these out of what the command gets."""
    decorators = (
        click.option("--save", default="", metavar="NAME",
                     help="Make a template of this command line; without a question nothing is asked."),
        click.option("--shots", default="", metavar="FILE|NAME",
                     help="Worked examples before the question: a JSONL or CSV file, or a template that has some."),
        click.option("-k", "--num-shots", type=click.IntRange(0, 1_000), metavar="K", help="So many of them."),
        click.option("--shots-by", type=click.Choice(["order", "random", "similar"]),
                     help="Which ones: the first, any, or those nearest to the question."),
        click.option("--cot", type=click.Choice(["off", "zero-shot", "few-shot"]),
                     help="Have the model reason before it answers: step by step, or as the examples do."),
        click.option("--votes", type=click.IntRange(0, 16), metavar="N",
                     help="So many chains of thought vote on the answer; 0 asks one."),
        click.option("--chains", is_flag=True, help="Print every chain of a vote on stderr."),
        click.option("--think", default="", metavar="on|off|auto|N", callback=_checked_think,
                     help="Whether a reasoning model thinks first; N is the longest thought in tokens."),
        click.option("--no-think", is_flag=True, help="The same as --think off."),
        click.option("--keep-thoughts", is_flag=True, help="Leave the thoughts of earlier replies in the prompt."),
        click.option("-R", "--hide-reasoning", is_flag=True, help="Do not print what is thought before the answer."),
        click.option("--hidethinking", "hide_reasoning", is_flag=True, hidden=True),
    )  # fmt: skip
    return template_options(decorated(command, decorators))


def form_options(command: _Command) -> _Command:
    """Adds which form the answer has and what is told of its tokens; `prompting_flags` takes these out too."""
    decorators = (
        click.option("--schema", metavar="JSON|FILE|SHORT",
                     help="JSON schema that the answer satisfies, else exit code 5; or short: 'name, age int, bio'."),
        click.option("--schema-multi", metavar="JSON|FILE|SHORT",
                     help="The same for a list of them, which comes under \"items\"."),
        click.option("--format", "form", type=click.Choice(["json", "text"]),
                     help="Any JSON object; or text, where a template or the chat has a schema."),
        click.option("--grammar", "grammar_file", type=_PATH, metavar="FILE",
                     help="GBNF that the answer must follow; exit code 5 where it ends before its end."),
        click.option("--logprobs", is_flag=True, help="Tell on stderr how likely each token of the answer was."),
        click.option("--top-logprobs", type=click.IntRange(0, 20), metavar="N",
                     help="And the N likeliest tokens at each place."),
    )  # fmt: skip
    return decorated(command, decorators)


def _checked_think(_context: click.Context, _option: click.Parameter, value: str) -> str:
    is_budget = value.isascii() and value.isdecimal() and int(value) <= _MOST_BUDGET
    if value and value not in ("on", "off", "auto") and not is_budget:
        raise click.BadParameter(f"{value[:40]!r} is none of on, off, auto, or a number of tokens")
    return value
