"""Blocks to passages of so many tokens: never over a heading, broken where it hurts least, each with its exact place.

A passage is `text[start:end]` of the document, and nothing else; the headings above it are kept beside it. Knows no
model: what counts tokens is handed in.
"""

from __future__ import annotations

import math
import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from llmchat_rag.atoms import PAGE, Atom, atoms_of, pieces_of, whole
from llmchat_rag.types import Block, Chunk, Parsed, Span

CHUNKER = "2"
"""Changes when the same text would be cut otherwise: part of what says whether stored passages are still right."""
JOINT = " › "

_CHARACTERS_PER_TOKEN = 16
"""A passage has at most so many characters for each token: WordPiece calls a word of a megabyte one token."""
_OVERLAP = 30
_LEAST_FILL = 1 / 3
_DECAY = 0.7
_BATCH = 2_048
"""Texts that are counted at once: a tokenizer keeps about 1 KB for each."""
_AT_ONCE = 1 << 17
"""Characters that are looked at together: to count a line of 10 MB takes 1 GB, and as much to hold 5 million lines."""
_LONGEST_WORD = 200
_LONG_HEADING = 160
_MOST_NAMES = 3
_TITLE_WIDTH = 160
_LEAST_HEADING = 12

Count = Callable[[Sequence[str]], list[int]]
"""Returns the tokens of each text."""


@dataclass(slots=True)
class _Section:
    """What stands under one heading."""

    path: tuple[str, ...]
    blocks: list[Block] = field(default_factory=list)
    atoms: list[Atom] = field(default_factory=list)


def chunks_of(
    parsed: Parsed, count: Count, *, limit: int = 200, prefix_limit: int = 40, fence_limit: int = 400
) -> list[Chunk]:
    """Returns the passages of a document, in their order.

    Args:
        parsed: the document.
        count: returns the tokens of each text.
        limit: tokens that a passage may have.
        prefix_limit: tokens that title and headings may have together.
        fence_limit: tokens up to which preformatted text is not cut.
    """
    measure = _Measure(parsed.text, count, limit)
    headings = _Headings(parsed.title, count, prefix_limit)
    places = _Places(parsed)
    chunks: list[Chunk] = []
    for sections in _portions(parsed):
        measure.fill(sections, fence_limit)
        for section in sections:
            for atoms in _packed(section.atoms, limit):
                span = places.span(atoms)
                heading = headings.fitted((*section.path, *_names(atoms)))
                chunks.append(Chunk(parsed.text[span.start : span.end], span, heading, measure.tokens(atoms)))
    return chunks


def embedded_text(chunk: Chunk, title: str) -> str:
    """Returns what is embedded for a passage: title and headings in a line of their own, then its text.

    Args:
        chunk: the passage.
        title: of its document.
    """
    heading = chunk.heading
    title = _narrowed(title)
    prefix = heading if heading.startswith(title) else JOINT.join(filter(None, (title, heading)))
    return f"{prefix}\n{chunk.text}" if prefix else chunk.text


def _portions(parsed: Parsed) -> Iterator[list[_Section]]:
    """Yields the sections that are looked at together; a long one comes in several."""
    portion: list[_Section] = []
    room = _AT_ONCE
    for section in _sections(parsed):
        part = _Section(section.path)
        portion.append(part)
        for block in _divided(parsed.text, section.blocks):
            part.blocks.append(block)
            room -= block.end - block.start
            if room <= 0:
                yield portion
                part = _Section(section.path)
                portion, room = [part], _AT_ONCE
    yield portion


def _divided(text: str, blocks: Sequence[Block]) -> Iterator[Block]:
    for block in blocks:
        if block.end - block.start <= _AT_ONCE:
            yield block
        else:
            for piece in pieces_of(text, whole(block), _AT_ONCE):
                yield replace(block, start=piece.start, end=piece.end)


def _sections(parsed: Parsed) -> Iterator[_Section]:
    """Yields what stands under each heading, and the headings that nothing stands under.

    Those stand together: a file of headings alone would else be a passage for each.
    """
    path: list[tuple[int, str]] = []
    section, bare = _Section(()), _Section(())
    over: Block | None = None
    for block in parsed.blocks:
        if block.kind not in {"heading", "title"}:
            if bare.blocks:
                yield bare
                bare = _Section(())
            section.blocks.append(block)
            continue
        level = max(block.level, 1)
        if section.blocks:
            yield section
        elif over is not None and over.level >= level:
            bare.blocks.append(over)
        path = [(above, name) for above, name in path if above < level] + [(level, block.name)]
        section, over = _Section(tuple(name for _, name in path if name)), block
        if block.end - block.start > _LONG_HEADING:
            section.blocks.append(block)
    if not section.blocks and over is not None:
        bare.blocks.append(over)
    yield from (last for last in (bare, section) if last.blocks)


class _Measure:
    """Fills sections with atoms that fit, and knows their tokens."""

    def __init__(self, text: str, count: Count, limit: int) -> None:
        self._text = text
        self._count = count
        self._limit = limit

    def fill(self, sections: list[_Section], fence_limit: int) -> None:
        """Puts atoms into each section, none of them longer than a passage but for whole fences."""
        fences = {id(block): whole(block) for section in sections for block in section.blocks if block.kind == "fence"}
        self._tokens_of(list(fences.values()))
        for section in sections:
            for block in section.blocks:
                fence = fences.get(id(block))
                if fence is not None and self._cost(fence) <= fence_limit:
                    section.atoms.append(fence)
                else:
                    section.atoms.extend(atoms_of(self._text, block))
            _strengthen_pages(section.atoms)
        self._tokens_of([atom for section in sections for atom in section.atoms if not atom.whole])
        while fresh := self._cut_long(sections):
            self._tokens_of(fresh)
        for section in sections:
            section.atoms = [atom for atom in section.atoms if not self._is_no_word(atom)]

    def _is_no_word(self, atom: Atom) -> bool:
        """Returns whether it is part of a run of letters that the model does not know: hex, keys, a picture as text."""
        length = atom.end - atom.start
        if length <= _LONGEST_WORD or atom.tokens * _CHARACTERS_PER_TOKEN >= length:
            return False
        return len(self._text[atom.start : atom.end].split()) == 1

    def tokens(self, atoms: Sequence[Atom]) -> int:
        """Returns the tokens of a passage."""
        return sum(atom.tokens for atom in atoms)

    def _cut_long(self, sections: list[_Section]) -> list[Atom]:
        """Cuts the atoms that are too long; returns the pieces, which nobody has counted yet."""
        fresh: list[Atom] = []
        for section in sections:
            if all(atom.whole or self._cost(atom) <= self._limit for atom in section.atoms):
                continue
            atoms: list[Atom] = []
            for atom in section.atoms:
                pieces = self._pieces(atom)
                atoms += pieces
                if len(pieces) > 1:
                    fresh += pieces
            section.atoms = atoms
        return fresh

    def _pieces(self, atom: Atom) -> list[Atom]:
        cost = self._cost(atom)
        if atom.whole or cost <= self._limit or atom.end - atom.start < 2:
            return [atom]
        length = atom.end - atom.start
        # Nine tenths: the next count may find a little more in a piece than its share.
        size = min(length - 1, -(-length // math.ceil(cost / (0.9 * self._limit))))
        pieces = list(pieces_of(self._text, atom, size))
        return pieces if len(pieces) > 1 else [atom]

    def _cost(self, atom: Atom) -> int:
        return max(atom.tokens, -(-(atom.end - atom.start) // _CHARACTERS_PER_TOKEN))

    def _tokens_of(self, atoms: list[Atom]) -> None:
        for first in range(0, len(atoms), _BATCH):
            batch = atoms[first : first + _BATCH]
            counted = self._count([self._text[atom.start : atom.end] for atom in batch])
            for atom, tokens in zip(batch, counted, strict=True):
                atom.tokens = tokens


def _strengthen_pages(atoms: list[Atom]) -> None:
    for before, atom in pairwise(atoms):
        if before.page != atom.page:
            atom.strength = PAGE


def _packed(atoms: list[Atom], limit: int) -> Iterator[list[Atom]]:
    """Yields runs of atoms that make a passage each; a run may begin with the last sentence of the one before."""
    start = least = 0
    while start < len(atoms):
        stop = _furthest(atoms, start, limit)
        if stop < len(atoms):
            stop = _best_break(atoms, start, max(stop, least + 1), least, limit)
        yield atoms[start:stop]
        least = stop
        start = stop - 1 if _repeats(atoms, start, stop, limit) else stop


def _furthest(atoms: list[Atom], start: int, limit: int) -> int:
    """Returns the atom after the last one that still fits; at least one does."""
    tokens = 0
    for index in range(start, len(atoms)):
        tokens += atoms[index].tokens
        characters = atoms[index].end - atoms[start].start
        if index > start and (tokens > limit or characters > limit * _CHARACTERS_PER_TOKEN):
            return index
    return len(atoms)


def _best_break(atoms: list[Atom], start: int, furthest: int, least: int, limit: int) -> int:
    """Returns where to end a passage: a strong break, unless it leaves much of the room empty."""
    best, best_score = furthest, -1.0
    room = limit
    used = 0
    for index in range(start, furthest):
        if index > max(start, least) and used >= _LEAST_FILL * room:
            score = atoms[index].strength * (1 - _DECAY * (1 - used / room) ** 2)
            if score >= best_score:
                best, best_score = index, score
        used += atoms[index].tokens
    if furthest < len(atoms):
        score = atoms[furthest].strength * (1 - _DECAY * max(0.0, 1 - used / room) ** 2)
        best = furthest if score >= best_score else best
    return best


def _repeats(atoms: list[Atom], start: int, stop: int, limit: int) -> bool:
    """Returns whether the last sentence of a passage also begins the next one."""
    if stop >= len(atoms) or stop - 1 <= start:
        return False
    last, following = atoms[stop - 1], atoms[stop]
    if not (last.prose and following.prose) or last.tokens > _OVERLAP or last.tokens + following.tokens > limit:
        return False
    return following.end - last.start <= limit * _CHARACTERS_PER_TOKEN


def _names(atoms: Sequence[Atom]) -> tuple[str, ...]:
    """Returns the names of what is defined in a passage, as one heading or none."""
    names = list(dict.fromkeys(atom.name for atom in atoms if atom.name and not atom.whole))
    return (", ".join(names[:_MOST_NAMES]),) if names else ()


class _Places:
    """Finds lines and pages."""

    def __init__(self, parsed: Parsed) -> None:
        ends = (match.start() for match in re.finditer("\n", parsed.text)) if parsed.own_lines else ()
        self._line_ends = array("Q", ends)
        self._own_lines = parsed.own_lines

    def span(self, atoms: Sequence[Atom]) -> Span:
        start, end = atoms[0].start, atoms[-1].end
        pages = atoms[0].page, atoms[-1].page
        return Span(start, end, self._line(start), self._line(end - 1), *pages)

    def _line(self, at: int) -> int:
        return bisect_left(self._line_ends, at) + 1 if self._own_lines else 0


class _Headings:
    """Fits paths of headings into the room that the title leaves."""

    def __init__(self, title: str, count: Count, limit: int) -> None:
        self._count = count
        self._room = max(_LEAST_HEADING, limit - (count([_narrowed(title)])[0] if title else 0))
        self._known: dict[tuple[str, ...], str] = {}

    def fitted(self, path: tuple[str, ...]) -> str:
        """Returns the headings joined; the outer ones go first where they are too long."""
        if path not in self._known:
            self._known[path] = self._fit(path)
        return self._known[path]

    def _fit(self, path: tuple[str, ...]) -> str:
        if not path:
            return ""
        choices = [JOINT.join(path[first:]) for first in range(len(path))]
        fitting = [choice for choice, size in zip(choices, self._count(choices), strict=True) if size <= self._room]
        return fitting[0] if fitting else self._cut(choices[-1])

    def _cut(self, words: str) -> str:
        while len(words) > 1 and (size := self._count([words])[0]) > self._room:
            words = words[: max(1, min(len(words) - 1, len(words) * self._room // size))].rstrip()
        return words


def _narrowed(title: str) -> str:
    """Returns as much of a title as 40 tokens hold: 160 Latin letters, or 40 of a script that is counted by letter."""
    width = 0
    for index, character in enumerate(title):
        width += 1 if character < "\u0250" else 4
        if width > _TITLE_WIDTH:
            return title[:index].rstrip()
    return title
