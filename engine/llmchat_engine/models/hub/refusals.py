"""What an answer means that is not the file: which can be asked again, after how long, and the sentence for each.

Knows HTTP statuses and headers; the bodies of refusals are never read, for a server may repeat the token in them.
What the hub itself refuses is told as everywhere, by errors.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from llmchat_engine.errors import DownloadBroken, HubError, HubUnreachable
from llmchat_engine.models.hub.errors import Asked, refused, retry_after
from llmchat_engine.models.hub.fetching import Reply

_AGAIN = "wait a little, then pull again: it goes on from here"
_LATER = (408, 425, 429)
_EXPIRED = (401, 403, 410)
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer without the file."""

    error: HubError
    again: bool = False
    """Whether another try may help."""
    after: float = 0.0
    """Seconds that the server asks to wait."""
    expired: bool = False
    """The link to the bytes is no longer good; the hub gives another one."""


def refusal(reply: Reply, asked: Asked) -> Refusal | None:
    """Returns what is wrong with an answer by its status and its kind; None where a file may follow.

    Args:
        reply: The answer.
        asked: The file, text from outside; and the token, to keep it out of the sentence.
    """
    what, status = f"could not download {asked.file}", reply.status
    if status in (200, 206):
        return Refusal(_page(what, reply)) if _is_page(reply, asked.file) else None
    if status == 416:
        why = f"{reply.host} has fewer bytes of it than the hub promised"
        return Refusal(DownloadBroken(what, why, _AGAIN), again=True)
    if status in _LATER or status >= 500:
        return Refusal(HubUnreachable(what, _not_now(reply), _AGAIN), True, retry_after(reply.headers))
    if reply.on_hub:
        return Refusal(refused(status, reply.headers, asked))
    expired = status in _EXPIRED
    error = HubUnreachable if expired else HubError
    return Refusal(error(what, f"{reply.host} refused to send it (status {status})", _AGAIN), expired=expired)


def wrong_body(reply: Reply, here: int, size: int) -> str:
    """Returns what is wrong with the bytes that a server announces; empty where they are those that were asked for.

    Args:
        reply: An answer with bytes.
        here: How many are here already.
        size: What the hub promised for the whole file.
    """
    if reply.headers.get("Content-Encoding", "identity") != "identity":
        return "it compressed, which was not asked for"
    return _wrong_range(reply, here, size) if reply.status == 206 else _wrong_length(reply, size)


def _wrong_range(reply: Reply, here: int, size: int) -> str:
    match = _RANGE.fullmatch(reply.headers.get("Content-Range", "").strip())
    if match is None:
        return "a range without saying which"
    first, last, total = int(match[1]), int(match[2]), size if match[3] == "*" else int(match[3])
    if first != here or last < first or last >= size:
        return f"the bytes {first:,} to {last:,}, asked for were those from {here:,} on"
    return "" if total == size else f"a part of {total:,} bytes, the hub promised {size:,}"


def _wrong_length(reply: Reply, size: int) -> str:
    told = reply.headers.get("Content-Length", "")
    if told.isascii() and told.isdecimal() and int(told[:18]) != size:
        return f"{int(told[:18]):,} bytes, the hub promised {size:,}"
    return ""


def _is_page(reply: Reply, name: str) -> bool:
    kind = reply.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return kind in ("text/html", "application/xhtml+xml") and not name.lower().endswith((".html", ".htm"))


def _page(what: str, reply: Reply) -> HubError:
    why = f"{reply.host} sent a web page in place of the file: perhaps this network wants a login first"
    return DownloadBroken(what, why, "open any page in a browser, then pull again: it goes on from here")


def _not_now(reply: Reply) -> str:
    if reply.status == 429:
        return f"{reply.host} says that too much was asked of it (status 429)"
    if reply.status in _LATER:
        return f"{reply.host} was not ready in time (status {reply.status})"
    return f"{reply.host} failed by itself (status {reply.status})"
