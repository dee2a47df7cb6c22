"""The tokens of a text as lines, as a comparison of models, and as JSON. Pure functions of what the engine tells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmchat_tui.piece_text import cell, columns_of, painted, visible
from llmchat_tui.sanitize import sanitize_line

if TYPE_CHECKING:
    from llmchat_engine.answers import TokenPiece

_ALTERNATE = ("36", "33")
_SPECIAL = "1;35"
_HEAD = "1"
_PIECE = "piece"
_NO_CHARACTER = "\ufffd"
_WIDEST = 40
"""Columns of a piece; some vocabularies have a token of 80 blanks."""


@dataclass(frozen=True, slots=True)
class Tokenized:
    """A text as one model reads it."""

    model: str
    pieces: tuple[TokenPiece, ...]

    def per_token(self, text: str) -> float:
        """Returns how many characters a token has, on average."""
        return len(text) / len(self.pieces) if self.pieces else 0.0


def table(one: Tokenized, text: str, *, color: bool) -> Iterator[str]:
    """Yields a summary, the text cut into its tokens, and a line for each token."""
    count = f"{len(one.pieces):,} token{'s' * (len(one.pieces) != 1)}"
    summary = f"{count} · {len(text):,} characters · {one.per_token(text):.2f} characters a token"
    yield painted(f"{summary} · {sanitize_line(one.model)}", _HEAD, on=color)
    if not one.pieces:
        return
    yield from rows(one.pieces, color=color)
    yield ""
    shown = [visible(piece.text) for piece in one.pieces]
    width = min(_WIDEST, max(columns_of(name) for name in (*shown, _PIECE)))
    yield f"{'id':>7}  {cell(_PIECE, width)}  bytes"
    for number, (piece, name) in enumerate(zip(one.pieces, shown, strict=True)):
        padded = cell(name, width)
        yield f"{piece.id:>7}  {painted(padded, _color(piece, number), on=color)}  {_remark(piece)}".rstrip()


def comparison(found: Sequence[Tokenized], text: str, *, color: bool) -> Iterator[str]:
    """Yields what each model makes of the text: the numbers first, then the pieces."""
    width = max(len("model"), *(columns_of(sanitize_line(one.model)) for one in found))
    yield f"{cell('model', width)}  {'tokens':>9}  characters a token"
    for one in found:
        yield f"{cell(sanitize_line(one.model), width)}  {len(one.pieces):>9,}  {one.per_token(text):>18.2f}"
    for one in found:
        yield ""
        yield painted(sanitize_line(one.model), _HEAD, on=color)
        yield from rows(one.pieces, color=color)


def rows(pieces: Sequence[TokenPiece], *, color: bool) -> Iterator[str]:
    """Yields the pieces side by side, apart by colours or by `|`; a line of the text is a line."""
    line: list[str] = []
    for number, piece in enumerate(pieces):
        line.append(painted(visible(piece.text), _color(piece, number), on=color))
        if piece.text.endswith("\n"):
            yield ("" if color else "|").join(line)
            line = []
    if line:
        yield ("" if color else "|").join(line)


def as_facts(one: Tokenized, text: str) -> dict[str, Any]:
    """Returns the tokens as JSON; bytes in hexadecimal."""
    return {
        "model": one.model,
        "tokens": len(one.pieces),
        "characters_per_token": round(one.per_token(text), 4),
        "pieces": [
            {"id": piece.id, "text": piece.text, "bytes": piece.data.hex(), "special": piece.special}
            for piece in one.pieces
        ],
    }


def _color(piece: TokenPiece, number: int) -> str:
    return _SPECIAL if piece.special else _ALTERNATE[number % 2]


def _remark(piece: TokenPiece) -> str:
    """Returns what the piece itself does not say: that it is special, or its bytes where they are no characters."""
    if piece.special:
        return "special"
    return piece.data.hex(" ") if _NO_CHARACTER in piece.text else ""
