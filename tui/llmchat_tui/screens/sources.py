"""What a reply stands on: its sources, the passage of each in its document, and the marks of its sentences.

Shows what a reply keeps; the document is read in a thread. Knows no chat and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from llmchat_tui.cited import judged, sign_of
from llmchat_tui.messages import Copied
from llmchat_tui.sanitize import sanitize_line
from llmchat_tui.screens.panel import Panel, is_open
from llmchat_tui.sources import KeptSource, KeptVerdict
from llmchat_tui.surroundings import Place, place_of
from llmchat_tui.widgets.numbered import NumberedText
from llmchat_tui.widgets.signs import COLOURS

if TYPE_CHECKING:
    from textual.app import ComposeResult


@dataclass
class PlaceRead(Message):
    """The document of a source was read, in the thread."""

    number: int
    place: Place


class SourcesScreen(Panel[None]):
    """Lists the sources of a reply; the one under the cursor is shown in its place."""

    DEFAULT_CSS = """
    SourcesScreen > #panel { max-width: 110; height: 100%; }
    SourcesScreen.-low > #panel > .heading { display: none; }
    SourcesScreen OptionList { height: auto; max-height: 30%; background: transparent; text-wrap: nowrap; }
    SourcesScreen OptionList { text-overflow: ellipsis; }
    SourcesScreen VerticalScroll { height: 1fr; margin-top: 1; }
    SourcesScreen.-low VerticalScroll { margin-top: 0; }
    SourcesScreen VerticalScroll > Static { height: auto; }
    SourcesScreen #said { height: auto; max-height: 30%; margin-top: 1; }
    SourcesScreen.-low #said { max-height: 2; margin-top: 0; }
    SourcesScreen #note { height: auto; max-height: 2; color: $text-warning; }
    SourcesScreen .around { color: $text-muted; }
    SourcesScreen .-empty { display: none; }
    SourcesScreen #passage { border-left: outer $accent; background: $panel; }
    SourcesScreen #before, SourcesScreen #after { padding-left: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("pagedown", "turn_page(1)", "scroll", priority=True),
        Binding("pageup", "turn_page(-1)", "scroll back", show=False, priority=True),
        Binding("y", "copy_place", "copy place"),
    ]

    def __init__(
        self,
        text: str,
        sources: Sequence[KeptSource],
        verdicts: Sequence[KeptVerdict],
        read: Callable[[KeptSource], tuple[str, str]],
    ) -> None:
        """Shows nothing yet.

        Args:
            text: the reply.
            sources: what it stands on.
            verdicts: on its sentences.
            read: returns the text of a source's document and the path of its file; called in a thread.
        """
        super().__init__("Sources of this reply")
        self._text, self._sources, self._verdicts, self._read = text, tuple(sources), tuple(verdicts), read
        self._places: dict[int, Place] = {}

    def compose_body(self) -> ComposeResult:
        """Yields the list, and the place of what is under its cursor."""
        rows = [self._row(source) for source in self._sources]
        yield OptionList(*(Option(row) for row in (*rows, *self._sum())), compact=True, markup=False)
        for name in ("said", "note"):
            yield Static("", id=name, classes="-empty", markup=False)
        with VerticalScroll():
            yield Static("", id="sentences", classes="-empty", markup=False)
            for name, classes in (("before", "around"), ("passage", ""), ("after", "around")):
                yield NumberedText(name, classes)

    def on_mount(self) -> None:
        """Goes to the first source."""
        options = self.query_one(OptionList)
        options.highlighted = 0 if options.option_count else None
        options.focus()

    def on_option_list_option_highlighted(self, message: OptionList.OptionHighlighted) -> None:
        """Shows what the cursor is on."""
        source = self._source_at(message.option_index)
        if source is None:
            self._show_sentences()
            return
        self._show(source, self._places.get(source.n) or Place("", source.text, "", source.line))
        if source.n not in self._places:
            self.run_worker(partial(self._read_place, source), thread=True, group="place", exit_on_error=False)

    def on_place_read(self, message: PlaceRead) -> None:
        """Shows a source in its document, if the cursor is still on it."""
        self._places[message.number] = message.place
        if not is_open(self):
            return
        source = self._source_at(self.query_one(OptionList).highlighted)
        if source is not None and source.n == message.number:
            self._show(source, message.place)

    def on_numbered_text_wrapped(self) -> None:
        """Goes to the passage again, which is elsewhere now."""
        self.call_after_refresh(self._go_to_passage)

    def action_copy_place(self) -> None:
        """Copies where the source stands: the file and its line."""
        source = self._source_at(self.query_one(OptionList).highlighted)
        if source is None:
            return
        place = self._places.get(source.n)
        path, line = (place.path, place.passage_line) if place else ("", 0)
        self.post_message(Copied(f"{path}:{line}" if path and line else path or source.source, "place"))

    def action_turn_page(self, pages: int) -> None:
        """Scrolls what stands around the passage, from wherever the focus is."""
        scroll = self.query_one(VerticalScroll)
        scroll.scroll_relative(y=pages * max(1, scroll.size.height - 1), animate=False)

    def _read_place(self, source: KeptSource) -> None:
        text, path = self._read(source)
        self.post_message(PlaceRead(source.n, place_of(source, text, path)))

    def _source_at(self, index: int | None) -> KeptSource | None:
        return self._sources[index] if index is not None and index < len(self._sources) else None

    def _row(self, source: KeptSource) -> Content:
        sign = sign_of(source.n, self._verdicts) or " "
        heading = source.heading or source.title
        return Content.assemble(
            f"[{source.n}] ",
            (sign, COLOURS.get(sign, "")),
            f" {sanitize_line(source.source)}  ",
            (sanitize_line(f"{source.collection} · {heading}" if heading else source.collection), "$text-muted"),
        )

    def _sum(self) -> Iterator[Content]:
        signs = [sign for sign, _, _ in judged(self._text, self._verdicts)]
        if signs:
            count = ", ".join(f"{signs.count(sign)} {sign}" for sign in COLOURS if sign in signs)
            yield Content(f"all {len(signs)} sentences: {count}" if len(signs) > 1 else f"the sentence: {count}")

    def _show(self, source: KeptSource, place: Place) -> None:
        about = [verdict for verdict in self._verdicts if source.n in verdict.ids or source.n == verdict.better]
        self._put("said", _sentences(self._text, about))
        self._put("note", Content(sanitize_line(place.note)))
        self._put("sentences", Content(""))
        inside = bool(place.before) and not place.before.endswith("\n")
        ended = place.passage.endswith("\n")
        behind = place.after if ended else place.after.removeprefix("\n")
        is_next = ended or behind != place.after
        line = place.passage_line
        next_line = line + place.passage.count("\n") + (not ended and is_next) if line else 0
        digits = len(str(next_line + behind.count("\n")))
        for name, text, first, goes_on in (
            ("before", place.before, place.line, False),
            ("passage", place.passage, line, inside),
            ("after", behind, next_line, not is_next),
        ):
            self.query_one(f"#{name}", NumberedText).show(text, first, goes_on=goes_on, digits=digits)
        self.call_after_refresh(self._go_to_passage)

    def _show_sentences(self) -> None:
        for name in ("said", "note"):
            self._put(name, Content(""))
        for text in self.query(NumberedText):
            text.show("")
        self._put("sentences", _sentences(self._text, self._verdicts))
        self.query_one(VerticalScroll).scroll_home(animate=False)

    def _go_to_passage(self) -> None:
        """Scrolls so that some of what stands before the passage is seen too."""
        passage, scroll = self.query_one("#passage"), self.query_one(VerticalScroll)
        above = max(0, (scroll.size.height - passage.size.height) // 2)
        scroll.scroll_to(y=max(0, passage.virtual_region.y - above), animate=False)

    def _put(self, name: str, content: Content) -> None:
        widget = self.query_one(f"#{name}", Static)
        widget.set_class(not content.plain, "-empty")
        widget.update(content)


def _sentences(text: str, verdicts: Sequence[KeptVerdict]) -> Content:
    """Returns sentences of a reply, each with its mark and the reason for it."""
    rows = []
    for sign, sentence, why in judged(text, verdicts):
        reason = (f"  {sanitize_line(why)}", COLOURS.get(sign, "")) if why else ""
        rows.append(Content.assemble((sign, COLOURS.get(sign, "")), f" {sanitize_line(sentence)}", reason))
    return Content("\n").join(rows)
