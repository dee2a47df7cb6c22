"""A zip that may be a bomb: opened only when what is in it was counted while it was unpacked.

Knows no formats. What the headers promise is not believed.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator

from llmchat_rag.errors import ParseError

MOST_BYTES = 200 << 20
MOST_ENTRIES = 10_000
MOST_TIMES = 200
"""An entry may grow so many times; deflate reaches 1,030 on zeros, text 3 to 20."""

_SMALL = 4 << 20
"""What unpacks to less does no harm, however small it was."""
_PIECE = 1 << 18


def open_zip(data: bytes, what: str) -> zipfile.ZipFile:
    """Returns a zip that was unpacked once, piece by piece, and holds no more than is bearable.

    Args:
        data: the whole file.
        what: the name of the format, for the reason.

    Raises:
        ParseError: it is broken, or a bomb.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        _count(archive, len(data))
    except _BROKEN as error:
        raise ParseError(f"its {what} is broken") from error
    return archive


def read_entry(archive: zipfile.ZipFile, name: str) -> bytes:
    """Returns one entry.

    Raises:
        ParseError: there is none of that name.
    """
    try:
        return archive.read(name)
    except _BROKEN as error:
        raise ParseError(f"it has no {name[:80]}") from error


_BROKEN = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, OSError, KeyError, ValueError, RuntimeError)
# ValueError and RuntimeError are what zipfile says to impossible offsets and to encrypted entries; NotImplementedError,
# for compressions it does not know, is a RuntimeError.


def _count(archive: zipfile.ZipFile, packed: int) -> None:
    entries = archive.infolist()
    if len(entries) > MOST_ENTRIES:
        raise ParseError(f"it holds {len(entries):,} files, and {MOST_ENTRIES:,} are the limit")
    total = 0
    for size in _sizes(archive, entries):
        total += size
        if total > MOST_BYTES:
            raise ParseError(f"it unpacks to more than {MOST_BYTES >> 20} MB")
        if total > _SMALL and total > MOST_TIMES * packed:
            raise ParseError(f"it unpacks to more than {MOST_TIMES} times its size")


def _sizes(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> Iterator[int]:
    for entry in entries:
        with archive.open(entry) as stream:
            while piece := stream.read(_PIECE):
                yield len(piece)
