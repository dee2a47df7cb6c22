"""How far long work on a model is, and how much a file takes, in the words of every screen and command.

Pure functions of what the engine tells; knows no terminal, no widget and no command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmchat_tui.gauge import bar
from llmchat_tui.sanitize import sanitize_line

if TYPE_CHECKING:
    from llmchat_engine.models.progress import Progress

_BAR = 12
_SHORTEST_NAME = 12
_GIGABYTE_FROM = 999_500_000
"""From here on a million bytes would round to "1000 MB"."""


def told(progress: Progress, columns: int = 80) -> str:
    """Returns one line: what is done, the bar, how much of how much, the rate, the time left.

    Args:
        progress: What the work yielded; text in it is data.
        columns: The width it should fit; a long name is cut in its middle first.
    """
    stage, name = sanitize_line(progress.stage), sanitize_line(progress.what)
    amount = amount_told(progress)
    room = columns - len(stage) - len(amount) - 3
    return " ".join(filter(None, (stage, shortened(name, max(room, _SHORTEST_NAME)), amount and f" {amount}")))


def amount_told(progress: Progress) -> str:
    """Returns the part behind the name: bar, amounts, rate, time left; empty where nothing can be counted."""
    parts = [_amount(progress), _rate(progress)]
    if progress.seconds_left:
        parts.append(f"{time_text(progress.seconds_left)} left")
    line = " · ".join(filter(None, parts))
    return f"▕{bar(progress.fraction, _BAR)}▏ {line}" if progress.total > 0 else line


def size_text(size: float) -> str:
    """Returns a file's size as people write it, in powers of ten as file managers and the hub do."""
    if size >= _GIGABYTE_FROM:
        return f"{size / 1e9:,.1f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 999_500 else f"{size / 1e3:.0f} kB"


def time_text(seconds: float) -> str:
    """Returns a time as a person would say it: `24 s`, `3 min`, `2 h 10 min`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def shortened(name: str, columns: int) -> str:
    """Returns a name of at most so many characters; its end stays, for there the quantisation stands."""
    if len(name) <= columns:
        return name
    tail = columns * 2 // 3
    return f"{name[: columns - tail - 1]}…{name[-tail:]}"


def _amount(progress: Progress) -> str:
    """Returns "1.6 of 2.5 GB", "12 of 320 tensors", or what is known of it."""
    done, total, unit = progress.done, progress.total, progress.unit
    if unit != "bytes":
        counted = f"{done:,} of {total:,}" if total > 0 else f"{done:,}"
        return f"{counted} {unit}" if done or total > 0 else ""
    if total <= 0:
        return size_text(done) if done else ""
    amount, of_all = size_text(done), size_text(total)
    same = amount.rpartition(" ")[2] == of_all.rpartition(" ")[2]
    return f"{amount.rpartition(' ')[0] if same else amount} of {of_all}"


def _rate(progress: Progress) -> str:
    if progress.rate <= 0:
        return ""
    if progress.unit == "bytes":
        return f"{size_text(progress.rate)}/s"
    return f"{progress.rate:,.0f} {progress.unit}/s" if progress.rate >= 1 else ""
