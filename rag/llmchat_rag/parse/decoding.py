"""Bytes to text: which encoding, and whether it is text at all.

Knows no formats. Text comes back normalised (see blocks.py).
"""

from __future__ import annotations

import codecs
import re

from llmchat_rag.blocks import normalised
from llmchat_rag.errors import NothingToRead

# The long ones first: a UTF-32 mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE = 64 << 10
_MOST_CONTROLS = 0.05
"""Of all bytes: random ones have 0.11, text with stray NULs or escape sequences stays far below."""
_MOST_BROKEN = 0.01
"""Of all characters that are no UTF-8 and are still taken for damage, and not for another encoding."""
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\f\r\x1b")) + b"\x7f"
_DECLARED = re.compile(rb"charset\s{0,8}=\s{0,8}[\"']?([A-Za-z0-9_.:-]{2,40})")
_CHARSET = re.compile(r"(?:iso[-_]?8859|latin|cp\d|windows[-_]|koi8|gb|big5|euc|shift[-_]?jis|utf[-_]?(?:8|16|32)).*")
"""What a file may declare: Python's codecs hold more, some of them slow and some that are no character sets."""


def text_of(data: bytes, charset: str = "") -> str:
    """Returns the text of a file.

    Args:
        data: the whole file.
        charset: what the file says of itself; followed if it is true.

    Raises:
        NothingToRead: it is empty, or no text.
    """
    if not data:
        raise NothingToRead("it is empty")
    return normalised(_decoded(data, charset))


def declared_charset(data: bytes) -> str:
    """Returns the character set that an HTML or XML file declares in its first lines, or nothing."""
    found = _DECLARED.search(data[:2048])
    return found[1].decode("ascii") if found else ""


def _decoded(data: bytes, charset: str) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    if encoding := _unmarked_utf16(data[:_SAMPLE]):
        return data.decode(encoding, "replace")
    sample = data[:_SAMPLE]
    if len(sample) - len(sample.translate(None, _CONTROLS)) > _MOST_CONTROLS * len(sample):
        raise NothingToRead("it is no text")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return _decoded_otherwise(data, charset.lower())


def _decoded_otherwise(data: bytes, charset: str) -> str:
    if _CHARSET.fullmatch(charset):
        try:
            return data.decode(charset)
        except (LookupError, UnicodeError):
            pass
    damaged = data.decode("utf-8", "replace")
    if damaged.count("\ufffd") <= _MOST_BROKEN * len(damaged):
        return damaged
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _unmarked_utf16(sample: bytes) -> str:
    """Returns the byte order of UTF-16 without a mark: every other byte of Western text is 0."""
    half = len(sample) // 2
    even, odd = sample[: 2 * half : 2].count(0), sample[1 : 2 * half : 2].count(0)
    if half and odd > 0.4 * half and even < 0.05 * half:
        return "utf-16-le"
    if half and even > 0.4 * half and odd < 0.05 * half:
        return "utf-16-be"
    return ""
