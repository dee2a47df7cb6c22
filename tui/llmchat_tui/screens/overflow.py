"""The plan that is shown before anything leaves a full context, and what becomes of each answer to it.

Counts nothing: the plan comes from the turn, which has recorded nothing yet.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from llmchat_engine import ModelSpec
from llmchat_tui.screens.attempts import Attempt
from llmchat_tui.screens.larger_context import LargerContext, larger_context
from llmchat_tui.screens.model_facts import size_text
from llmchat_tui.screens.panel import Panel

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from llmchat_tui.overflow import Plan
    from llmchat_tui.screens.chat_turns import ChatTurns
    from llmchat_tui.talk import Talk

Choice = Literal["drop", "summarize", "larger", "edit"]
_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


class OverflowScreen(Panel[Choice | None]):
    """Shows what can be done for a message that does not fit; Esc, and Enter at once, go back to the message."""

    DEFAULT_CSS = """
    OverflowScreen > #panel { max-width: 76; }
    OverflowScreen OptionList { background: transparent; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "choose('drop')", "drop", show=False),
        Binding("s", "choose('summarize')", "summarise", show=False),
        Binding("l", "choose('larger')", "larger context", show=False),
        Binding("escape", "leave", "edit message"),
        Binding("e", "leave", "edit message", show=False),
    ]

    def __init__(self, plan: Plan, larger: LargerContext | None) -> None:
        super().__init__(f"This message needs {plan.needs:,} tokens; {plan.free:,} are free.")
        self._choices = choices_of(plan, larger)

    def compose_body(self) -> ComposeResult:
        """Yields the choices, the last one marked: nothing is dropped by an Enter too many."""
        options = Ways(*(Option(_row(name, words), id=name) for name, words in self._choices.items()), compact=True)
        options.highlighted = len(self._choices) - 1
        yield options

    def action_choose(self, choice: Choice) -> None:
        """Takes the choice of a key, where it is there."""
        if choice in self._choices:
            self.dismiss(choice)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Takes the choice at the cursor."""
        event.stop()
        chosen = next(name for name in self._choices if name == event.option_id)
        self.dismiss(None if chosen == "edit" else chosen)


class Ways(OptionList):
    """A list that tells of its Enter in the line of keys."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select", "do it")]


def _row(choice: Choice, words: str) -> Content:
    return Content.assemble((choice[0], "$text-accent"), f"  {words}")


def offer(screen: ChatTurns, talk: Talk, attempt: Attempt, plan: Plan) -> None:
    """Shows the plan for what could not be asked, and asks it as the user chooses."""
    app = screen.chat_app
    needed = plan.n_ctx - plan.free + plan.needs
    spec, model = app.spec, app.model
    larger = larger_context(spec, model, needed) if isinstance(spec, ModelSpec) and model else None
    app.push_screen(OverflowScreen(plan, larger), partial(_chosen, screen, talk, attempt, larger))


async def _chosen(
    screen: ChatTurns, talk: Talk, attempt: Attempt, larger: LargerContext | None, choice: Choice | None
) -> None:
    if choice is None or choice == "edit" or talk is not screen.talk or talk.running:
        return
    spec = screen.chat_app.spec
    if choice == "larger" and larger and isinstance(spec, ModelSpec):
        screen.chat_app.use_model(replace(spec, n_ctx=larger.n_ctx))
    await screen.ask_again(talk, attempt, choice if choice in ("drop", "summarize") else None)


def choices_of(plan: Plan, larger: LargerContext | None) -> dict[Choice, str]:
    """Returns what can be done, in words."""
    count = _WORDS[plan.turns] if plan.turns < len(_WORDS) else f"{plan.turns:,}"
    turns = "the oldest turn" if plan.turns == 1 else f"the {count} oldest turns"
    choices: dict[Choice, str] = {
        "drop": f"drop {turns} (keeps system prompt, frees {plan.frees:,})",
        "summarize": f"summarise {'it' if plan.turns == 1 else 'them'}",
    }
    if larger:
        choices["larger"] = f"larger context ({larger.n_ctx:,}: +{size_text(larger.extra_bytes)})"
    return choices | {"edit": "edit message"}
