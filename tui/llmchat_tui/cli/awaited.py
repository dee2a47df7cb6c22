"""The end of what an engine is asked, with its progress on the status line meanwhile. For what is no chat.

Knows no command; prints nothing to stdout.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from llmchat_tui.console import Console

_End = TypeVar("_End")


def last_of(events: Generator[_End, None, None], console: Console) -> _End:
    """Returns the last event; shows the progress, and warns of what was replaced.

    Raises:
        EngineError: the engine raised it.
    """
    from llmchat_engine import Notice

    try:
        with closing(events):
            for event in events:
                if isinstance(event, Notice):
                    console.warn(event.text)
                elif told := _progress(event):
                    console.status(told)
                last = event
    finally:
        console.clear_status()
    return last


def _progress(event: object) -> str:
    """Returns what an event says about how far it is; empty where that is nothing."""
    from llmchat_engine import Loading, Prefill, Queued

    match event:
        case Loading(fraction):
            return f"loading the model {fraction:.0%}"
        case Queued(ahead):
            return f"waiting for {ahead} other request{'s' * (ahead > 1)}"
        case Prefill(done, total, cached):
            return f"reading {done:,} of {total:,} tokens" + (f", {cached:,} were known" if cached else "")
    return ""
