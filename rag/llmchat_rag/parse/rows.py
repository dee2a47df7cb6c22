"""CSV and TSV to rows under the names of their columns, without leaving the file's own text.

The first row is a heading where it looks like one; so each passage carries the names of the columns.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator

from llmchat_rag.blocks import Lines, one_line
from llmchat_rag.parse.decoding import text_of
from llmchat_rag.types import Block, Parsed

NAME, VERSION = "csv", 1

_LONGEST_CELL = 1 << 20
_GROUP = 1_000
"""Characters of rows that make one block: a block for each of a million rows would take 200 MB."""


def parse(name: str, data: bytes) -> Parsed:
    """Returns the rows of a table in text form."""
    text = text_of(data)
    lines = Lines(text)
    delimiter = "\t" if name.lower().endswith(".tsv") else _delimiter(lines)
    return Parsed(text, tuple(_blocks(lines, delimiter)), "", NAME, VERSION)


def _delimiter(lines: Lines) -> str:
    """Returns what separates the cells: what is in the first lines most evenly."""
    sample = [lines[index][:2000] for index in range(min(len(lines), 5))]
    return max(",;\t|", key=lambda mark: (min((line.count(mark) for line in sample), default=0), mark == ","))


def _rows(lines: Lines, delimiter: str) -> Iterator[tuple[int, int, list[str]]]:
    """Yields the first line of each row, the line after it, and its cells; what is no CSV is a row a line."""
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader((f"{lines[index]}\n" for index in range(len(lines))), delimiter=delimiter)
    first = 0
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            break
        yield first, reader.line_num, cells
        first = reader.line_num
    for index in range(first, len(lines)):
        yield index, index + 1, []


def _blocks(lines: Lines, delimiter: str) -> Iterator[Block]:
    rows = _rows(lines, delimiter)
    first = next(rows, None)
    if first is None:
        return
    start, stop, names = first
    if _are_names(names) and len(lines) > stop:
        yield lines.block("heading", start, stop, level=1, name=one_line(", ".join(names)))
        start = stop
    for begin, end, _ in rows:
        several_lines = end - begin > 1
        if start < begin and (several_lines or lines.end(begin - 1) - lines.start(start) > _GROUP):
            yield from _shown(lines, start, begin)
            start = begin
        if several_lines:
            yield lines.block("row", start, end)
            start = end
        stop = end
    yield from _shown(lines, start, stop)


def _shown(lines: Lines, start: int, stop: int) -> Iterator[Block]:
    if start < stop and any(not lines.is_blank(index) for index in range(start, stop)):
        yield lines.block("table", start, stop)


def _are_names(cells: list[str]) -> bool:
    words = [cell.strip() for cell in cells]
    return len(words) > 1 and all(word and not _is_number(word) for word in words) and len(set(words)) == len(words)


def _is_number(word: str) -> bool:
    try:
        float(word.replace(",", "."))
    except ValueError:
        return False
    return True
