"""The chains of thought that voted on a reply: how the vote went, and each chain with its answer and its reasoning.

Shows what a reply keeps. Knows no chat and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from llmchat_engine.prompting.vote import Chain, Polled
from llmchat_tui.messages import Copied
from llmchat_tui.sanitize import sanitize, sanitize_line
from llmchat_tui.screens.panel import Panel, line
from llmchat_tui.votes import counts_for_winner, ended_vote

if TYPE_CHECKING:
    from textual.app import ComposeResult

_ENDS = {
    "max_tokens": "cut at max_tokens",
    "context": "cut: the context is full",
    "cancelled": "stopped, not counted",
    "concluded": "told to answer",
}


class ChainsScreen(Panel[None]):
    """Lists the chains; the reasoning of the one under the cursor unfolds below."""

    DEFAULT_CSS = """
    ChainsScreen > #panel { max-width: 110; height: 100%; }
    ChainsScreen.-low > #panel > .heading { margin-bottom: 0; }
    ChainsScreen .tally { height: auto; margin-bottom: 1; color: $text-muted; }
    ChainsScreen.-low .tally { display: none; }
    ChainsScreen OptionList { height: auto; max-height: 1fr; background: transparent; }
    ChainsScreen OptionList { text-wrap: nowrap; text-overflow: ellipsis; }
    ChainsScreen.-unfolded OptionList { max-height: 40%; }
    ChainsScreen VerticalScroll { height: 1fr; display: none; margin-top: 1; border-left: outer $accent; }
    ChainsScreen VerticalScroll { padding-left: 1; }
    ChainsScreen.-low VerticalScroll { margin-top: 0; }
    ChainsScreen.-unfolded VerticalScroll { display: block; }
    ChainsScreen #reasoning { height: auto; color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "unfold", "its reasoning", priority=True),
        Binding("pagedown", "turn_page(1)", "scroll", priority=True),
        Binding("pageup", "turn_page(-1)", "scroll back", show=False, priority=True),
        Binding("y", "copy_chain", "copy"),
    ]

    def __init__(self, polled: Polled) -> None:
        super().__init__(f"Votes: {ended_vote(polled)}")
        self._polled = polled

    def compose_body(self) -> ComposeResult:
        """Yields the tally, the chains, and the place of the reasoning."""
        yield line("   ".join(f"{votes} for {answer}" for answer, votes in self._polled.tally), "tally")
        rows = [self._row(chain) for chain in self._polled.chains]
        yield OptionList(*(Option(row) for row in rows), compact=True, markup=False)
        with VerticalScroll(can_focus=False):
            yield Static("", id="reasoning", markup=False)

    def on_mount(self) -> None:
        """Goes to the first chain."""
        options = self.query_one(OptionList)
        options.highlighted = 0 if options.option_count else None
        options.focus()

    def on_option_list_option_highlighted(self, message: OptionList.OptionHighlighted) -> None:
        """Shows the reasoning of the chain under the cursor, where reasoning is unfolded."""
        chain = self._polled.chains[message.option_index]
        self.query_one("#reasoning", Static).update(Content("\n").join(_reasoning(chain)))
        self.query_one(VerticalScroll).scroll_home(animate=False)

    def on_option_list_option_selected(self) -> None:
        """Unfolds the reasoning of the chain that was clicked."""
        self.action_unfold()

    def action_unfold(self) -> None:
        """Shows how the chain came to its answer, or folds that."""
        self.toggle_class("-unfolded")
        self.call_after_refresh(self.query_one(OptionList).scroll_to_highlight)

    def action_turn_page(self, pages: int) -> None:
        """Scrolls the reasoning."""
        scroll = self.query_one(VerticalScroll)
        scroll.scroll_relative(y=pages * max(1, scroll.size.height - 1), animate=False)

    def action_copy_chain(self) -> None:
        """Copies a chain whole: its reasoning and its answer."""
        at = self.query_one(OptionList).highlighted
        if at is not None:
            chain = self._polled.chains[at]
            self.post_message(Copied(f"{chain.thought}\n\n{chain.answer}".strip(), "chain"))

    def _row(self, chain: Chain) -> Content:
        """Returns a chain's row: whether it counted for the winner, its answer, and how long it was."""
        wins, found = counts_for_winner(chain, self._polled), bool(chain.key)
        sign = ("✓ ", "$text-success") if wins else ("· " if found else "✗ ", "$text-muted" if found else "$text-error")
        shown = sanitize_line(chain.answer) if found else "no answer found"
        end = _ENDS.get(chain.reason, "")
        rest = " · ".join(part for part in (f"{chain.tokens:,} tokens" if chain.tokens else "", end) if part)
        number = f"{chain.number + 1:>2} "
        return Content.assemble(number, sign, (shown, "bold" if wins else ""), (f"   {rest}", "$text-muted"))


def _reasoning(chain: Chain) -> Iterator[Content]:
    """Yields how a chain came to its answer, and the whole answer."""
    if chain.thought.strip():
        yield Content(sanitize(chain.thought.strip("\n")))
        yield Content("")
    yield Content.assemble(("answer: ", "$text-accent"), (sanitize(chain.answer) or "none", "$text"))
