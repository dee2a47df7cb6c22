"""A reply as Markdown that is painted while it grows. Knows no chat and no engine.

Everything that reaches a block was sanitised after parsing: markdown-it decodes `&#8238;` and `%1b`, so cleaning its
source would not be enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Markdown
from textual.widgets._markdown import (
    MarkdownBlock,
    MarkdownBulletList,
    MarkdownFence,
    MarkdownList,
    MarkdownOrderedList,
    MarkdownStream,
)

from llmchat_tui.partial_json import as_markdown
from llmchat_tui.sanitize import sanitize, sanitize_line
from llmchat_tui.widgets.signs import Marks, cleaned, signed, with_carriers, without_carriers

LONGEST_HIGHLIGHT = 20_000
"""Characters of code up to which it is coloured: pygments takes 1 ms per 2,000, on the thread of the screen."""
LONGEST_LIVE_HIGHLIGHT = 1_500
"""The same while the block still grows and is coloured anew 20 times a second."""


_LONE_NUMBER = re.compile(r"\A((?:\s*\n)? {0,3}\d{1,9})([.)])(?=\s*\Z)")
"""A text that is a number and a dot: an answer, which Markdown takes for a list with nothing in it."""
_CONTINUED = "continued"
"""Mark on the token of a list whose first items are on the screen already."""


class CleanParser(MarkdownIt):
    """A parser whose tokens hold nothing that a terminal would obey. HTML is shown as the text it is."""

    def __init__(self, marks: Marks = ()) -> None:
        super().__init__("gfm-like", {"html": False})
        self._marks = marks

    def parse(self, src: str, env: Any = None) -> list[Token]:
        """Returns the tokens of a text, cleaned, with the carriers of its marks."""
        text = _LONE_NUMBER.sub(r"\1\\\2", with_carriers(src, self._marks))
        tokens = super().parse(text, env)
        for token in tokens:
            _clean(token)
        return tokens


def _clean(token: Token, *, bears_marks: bool = False) -> None:
    token.content = cleaned(token.content) if bears_marks else sanitize(without_carriers(token.content))
    token.info = sanitize_line(token.info)
    for name, value in token.attrs.items():
        if isinstance(value, str):
            token.attrs[name] = sanitize_line(value)
    is_address = False
    for child in token.children or ():
        if child.type.startswith("link_"):
            is_address = child.info == "auto" and child.type == "link_open"  # what it shows was decoded: `%01`
        _clean(child, bears_marks=child.type == "text" and not is_address)


class Fence(MarkdownFence):
    """A code block. Its language is never guessed: guessing loads every lexer there is, 300 ms."""

    def __init__(self, markdown: Markdown, token: Token, code: str) -> None:
        growing = isinstance(markdown, Answer) and markdown.growing
        if len(code) > (LONGEST_LIVE_HIGHLIGHT if growing else LONGEST_HIGHLIGHT):
            token = token.copy(info="text")
        super().__init__(markdown, token, code)
        self._drawn_in = self.app.theme

    def notify_style_update(self) -> None:
        """Colours the code anew where the theme changed: each restyling would, 40 ms for 40 lines."""
        if self._drawn_in != self.app.theme:
            self._drawn_in = self.app.theme
            super().notify_style_update()
        else:
            MarkdownBlock.notify_style_update(self)

    @classmethod
    def highlight(cls, code: str, language: str, ansi: bool = False, dark: bool = False) -> Content:
        """Returns the code in colours, or as plain text where its language is not known."""
        name = language.split()[0] if language.split() else "text"
        if name == "text" or not _is_language(name):
            return Content(code)
        return super().highlight(code, name, ansi, dark)


def _is_language(name: str) -> bool:
    from pygments.lexers import get_lexer_by_name  # with the first code block, not with the first paint
    from pygments.util import ClassNotFound

    try:
        get_lexer_by_name(name)
    except ClassNotFound:
        return False
    return True


class BulletList(MarkdownBulletList):
    """A list with bullets; growing, it makes only its last item anew."""

    async def _update_from_block(self, block: MarkdownBlock) -> None:
        if not await _grow(self, block):
            await super()._update_from_block(block)


class OrderedList(MarkdownOrderedList):
    """A list with numbers; growing, it makes only its last item anew."""

    async def _update_from_block(self, block: MarkdownBlock) -> None:
        if not await _grow(self, block):
            await super()._update_from_block(block)


async def _grow(shown: MarkdownList, block: MarkdownBlock) -> bool:
    """Takes over the end of a list that went on; False where it is to be made anew."""
    if not block._token.meta.get(_CONTINUED):
        return False
    added = [row for row in block.compose() if isinstance(row, Widget)]
    shown._copy_context(block)
    await shown.children[-1].remove()
    await shown.mount_all(added)
    return True


def _without_known_items(tokens: list[Token], shown: MarkdownList) -> list[Token]:
    """Returns the tokens of a list that went on from its last known item: making 30 items anew takes 100 ms."""
    end = next((at for at, token in enumerate(tokens) if token.level == 0 and token.nesting < 0), len(tokens))
    items = [at for at in range(end) if tokens[at].type == "list_item_open" and tokens[at].level == 1]
    known = len(shown.children)
    if not 0 < known <= len(items):
        return tokens
    tokens[0].meta[_CONTINUED] = True
    return [tokens[0], *tokens[items[known - 1] :]]


class Answer(Markdown):
    """The text of a reply."""

    BLOCKS = {  # noqa: RUF012 - the toolkit's own way to name blocks
        **Markdown.BLOCKS,
        "fence": Fence,
        "code_block": Fence,
        "bullet_list_open": BulletList,
        "ordered_list_open": OrderedList,
    }
    DEFAULT_CSS = """
    Answer { padding: 0; margin: 0; background: transparent; }
    Answer MarkdownFence { margin: 0 0 1 0; }
    Answer MarkdownFence, Answer MarkdownFence:light { background: $panel 50%; }
    Answer MarkdownFence > Label { padding: 0 1; }
    Answer MarkdownFence.-picked { border-left: thick $accent; }
    Answer MarkdownH1, Answer MarkdownH2 { content-align: left middle; text-style: bold; margin: 0 0 1 0; }
    """

    def __init__(self, text: str = "", *, growing: bool = False, marks: Marks = (), held: bool = False) -> None:
        self._is_json = False
        self.held = held
        """Whether it follows a JSON schema."""
        super().__init__(
            self._shown(text, marks) or None, parser_factory=lambda: CleanParser(self.marks), open_links=False
        )
        self.growing = growing
        """Whether more is to come; colours of long code wait for the end."""
        self.marks = marks
        """At the ends of its sentences, where they were checked; from the next `update` on."""

    def _parse_markdown(self, tokens: Iterable[Token]) -> Iterable[MarkdownBlock]:
        found = list(tokens)
        last = self.children[-1] if self.growing and self.children else None
        if found and isinstance(last, MarkdownList) and self.BLOCKS.get(found[0].type) is type(last):
            found = _without_known_items(found, last)
        for block in super()._parse_markdown(found):
            _sign(block)
            yield block

    async def show(self, text: str) -> None:
        """Shows a whole reply; one that is JSON in lines."""
        await self.update(self._shown(text, self.marks))

    async def grow(self, text: str, new: str, stream: MarkdownStream) -> None:
        """Shows by how much a reply has grown; JSON is laid out anew, since what closes it moves.

        Args:
            text: all of it.
            new: the end of it that is new.
            stream: takes what is no JSON.
        """
        was_json, shown = self._is_json, self._shown(text, self.marks)
        if not self._is_json and not was_json:
            await stream.write(new)
        elif not self._is_json or not await self._change_block(shown):
            await self.update(shown)

    def _shown(self, text: str, marks: Marks) -> str:
        """Returns the Markdown that a reply is shown as; marks stand at places of the text as it is."""
        laid_out = None if marks else as_markdown(text, held=self.held)
        self._is_json = laid_out is not None
        return text if laid_out is None else laid_out

    async def _change_block(self, markdown: str) -> bool:
        """Shows one code block in the place of another; returns whether that is all there is to show."""
        shown = self.children[0] if len(self.children) == 1 else None
        blocks = list(self._parse_markdown(CleanParser().parse(markdown)))
        if not isinstance(shown, Fence) or len(blocks) != 1:
            return False
        async with self.lock:
            await shown._update_from_block(blocks[0])
        return True

    def code_blocks(self) -> list[Fence]:
        """Returns the code blocks in order."""
        return list(self.query(Fence))


def _sign(block: MarkdownBlock) -> None:
    """Makes marks of the carriers in a block and in those inside it."""
    content = signed(block._content)
    if content is not block._content:
        block.set_content(content)
    for inner in block._blocks:
        _sign(inner)


def code_blocks(text: str) -> list[str]:
    """Returns the code blocks of a text in order."""
    return [token.content.rstrip() for token in CleanParser().parse(text) if token.type in ("fence", "code_block")]
