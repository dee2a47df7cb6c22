"""A comparison of models as it is printed: a table, bars, and answers side by side.

Pure text out of what was measured. Names and answers are data: everything is sanitised here.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from llmchat_tui.gauge import bar
from llmchat_tui.progress_words import size_text
from llmchat_tui.sanitize import sanitize, sanitize_line

if TYPE_CHECKING:
    from llmchat_engine.models.quantizing.compare import Side
    from llmchat_engine.models.quantizing.tasks import Divergence

_BAR = 30
_CYAN = "36"
_HUGE = 1e6
_NARROWEST = 30
"""Columns of an answer below which two are not set side by side."""
Cell = Callable[["Side"], str]


def letter(number: int) -> str:
    """Returns what a model is called in tables: A, B, C."""
    return chr(ord("A") + number) if number < 26 else str(number + 1)


def legend(sides: Sequence[Side]) -> Iterator[str]:
    """Yields which letter is which model."""
    for number, side in enumerate(sides):
        yield f"{letter(number)}  {sanitize_line(side.name)}"


def table(sides: Sequence[Side]) -> Iterator[str]:
    """Yields a line per measure, a column per model; then how far each is from the first."""
    rows: list[tuple[str, list[str]]] = [("", [letter(number) for number in range(len(sides))])]
    rows += [(name, [cell(side) for side in sides]) for name, cell in _measures()]
    others = [side.measured.divergence for side in sides]
    if any(others):
        rows.append(("compared with A", [""] * len(sides)))
        rows += [(f"  {name}", [cell(one) if one else "" for one in others]) for name, cell in _distances()]
    widths = [max(len(cells[column]) for _, cells in rows) for column in range(len(sides))]
    first = max(len(name) for name, _ in rows)
    for name, cells in rows:
        line = "   ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        yield f"{name:<{first}}   {line}".rstrip()
    for number, side in enumerate(sides[1:], 1):
        if why := side.measured.why_no_divergence:
            yield f"{letter(number)} cannot be compared token by token with A: {why}."


def _measures() -> Sequence[tuple[str, Cell]]:
    return (
        ("size", lambda side: size_text(side.size)),
        ("bits a weight", lambda side: f"{side.bits:.2f}"),
        ("memory at most", lambda side: size_text(side.measured.peak_memory)),
        ("reading, tokens/s", lambda side: _rate(side.measured.text.prefill if side.measured.text else 0.0)),
        ("writing, tokens/s", lambda side: _rate(side.measured.decode)),
        ("perplexity", _perplexity),
    )


def _distances() -> Sequence[tuple[str, Callable[[Divergence], str]]]:
    from llmchat_engine.models.quantizing.compare import growth_of

    return (
        ("perplexity", lambda d: f"{growth_of(d):+.2%} ± {d.nll_change_error * 100:.2f}"),
        ("KL divergence", lambda d: f"{d.kl:.5f} ± {d.kl_error:.5f}"),
        ("  median", lambda d: f"{d.kl_median:.5f}"),
        ("  99 %", lambda d: f"{d.kl_p99:.5f}"),
        ("  most", lambda d: f"{d.kl_max:.5f}"),
        ("same top token", lambda d: f"{d.same_top:.2%} ± {d.same_top_error * 100:.2f}"),
        ("p of what comes", lambda d: f"{d.p_change:+.3%} ± {d.p_change_error * 100:.3f}"),
    )


def _perplexity(side: Side) -> str:
    from llmchat_engine.models.quantizing.compare import perplexity_of

    if side.measured.text is None:
        return ""
    value, error = perplexity_of(side.measured.text)
    return f"{perplexity_text(value)} ± {perplexity_text(error)}"


def perplexity_text(value: float) -> str:
    """Returns a perplexity; that of a model which knows nothing of the text has no place in a column else."""
    return f"{value:,.3f}" if value < _HUGE else f"{value:.2e}"


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}" if value > 0 else ""


def charts(sides: Sequence[Side], *, color: bool) -> Iterator[str]:
    """Yields bars of size, memory, speed and perplexity; the longest of each measure is full."""
    from llmchat_engine.models.quantizing.compare import perplexity_of

    measures: tuple[tuple[str, Callable[[Side], float], Callable[[float], str]], ...] = (
        ("size", lambda side: side.size, size_text),
        ("memory at most", lambda side: side.measured.peak_memory, size_text),
        ("writing, tokens/s", lambda side: side.measured.decode, _rate),
        (
            "perplexity",
            lambda side: perplexity_of(side.measured.text)[0] if side.measured.text else 0.0,
            perplexity_text,
        ),
    )
    for title, value_of, told in measures:
        values = [value_of(side) for side in sides]
        if (most := max(values)) > 0:
            yield title
            for number, value in enumerate(values):
                filled = bar(value / most if value < most else 1.0, _BAR)  # the most may be infinite
                painted = f"\x1b[{_CYAN}m{filled}\x1b[0m" if color else filled
                yield f"  {letter(number)} {painted} {told(value)}"


def answers(sides: Sequence[Side], prompts: Sequence[str], columns: int) -> Iterator[str]:
    """Yields what each model said to each prompt: beside each other where there is room, else one below the other."""
    width = (columns - 3 * (len(sides) - 1)) // len(sides)
    for number, prompt in enumerate(prompts):
        yield ""
        yield from textwrap.wrap(f"> {sanitize_line(prompt)}", columns) or [">"]
        said = [_answer(side, number) for side in sides]
        if width >= _NARROWEST:
            yield from _beside([_wrapped(text, width) for text in said], width)
        else:
            for index, text in enumerate(said):
                yield from _wrapped(f"{letter(index)}: {text}", columns)


def _answer(side: Side, number: int) -> str:
    if number >= len(side.answers):
        return ""
    answer = side.answers[number]
    return answer.text.strip() + ("" if answer.complete else " …")


def _wrapped(text: str, width: int) -> list[str]:
    return [line for part in sanitize(text).split("\n") for line in textwrap.wrap(part, width)] or ["(nothing)"]


def _beside(cells: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    heads = [letter(index) for index in range(len(cells))]
    for row in [heads, *zip_longest(*cells, fillvalue="")]:
        yield " │ ".join(f"{text:<{width}}" for text in row).rstrip()
