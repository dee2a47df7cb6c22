"""Every sentence of an answer against the documents that it cites: ✓ supported, ~ weak, ✗ unsupported, and why.

Does not change the answer and asks no model but the embedder, where one is handed in. Text of the answer and of the
documents is data.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from llmchat_rag.checking.clauses import content
from llmchat_rag.checking.evidence import Evidence, Fault, Finding, examine, read
from llmchat_rag.checking.sentences import Sentence, sentences
from llmchat_rag.checking.tokens import names_within, tokens
from llmchat_rag.cite import citations, cited, without_citations
from llmchat_rag.context import Source, says_unknown

if TYPE_CHECKING:
    from llmchat_rag.types import Vector

Mark = Literal["supported", "weak", "unsupported"]
SIGNS: dict[Mark, str] = {"supported": "✓", "weak": "~", "unsupported": "✗"}
LONGEST = 2_000
"""Characters of a sentence that is judged: a model that repeats itself writes longer ones."""
BETTER_BY = 0.2
"""How much more of a sentence's words another document must have to be offered."""
_SHORT = 3
"""Words, small ones too, of which one alone may be the passage's."""
_LIST_OF_SOURCES = re.compile(
    r"^[^\w\n]{0,9}(?:sources?|references?|citations?|quellen|sources citées|fuentes)[^\w\n]{0,9}$"
    r"|^[^\w\n]{0,9}(?:sources?|quellen)[ \t]{0,3}:",
    re.IGNORECASE | re.MULTILINE,
)
_TALK = re.compile(
    r"^(?:here (?:is|are)|sure|certainly|of course|in summary:?$|let me|i hope|hope this|thank|the following"
    r"|based on the (?:provided )?documents[,:]?$|i(?:'m| am) sorry|please"
    r"|unfortunately|i (?:do not|don't|cannot|can't))\b",
    re.IGNORECASE,
)


class Encoder(Protocol):
    """What makes vectors of sentences: an embedder, or its light half alone."""

    def encode_query(self, text: str) -> Vector:
        """Returns the vector of a text, of length 1."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a sentence claims, and whether what it cites says so."""

    text: str
    start: int
    end: int
    """Where it stands in the answer, with its citations."""
    ids: tuple[int, ...]
    """The documents that it cites."""
    mark: Mark
    why: str = ""
    """In words for the user; empty where it is supported."""
    better: int | None = None
    """Another document, which says more of it."""


@dataclass(frozen=True, slots=True)
class Verified:
    """The verdicts on an answer, in its order; sentences that claim nothing have none."""

    sentences: tuple[Verdict, ...]
    unknown: bool = False
    """Whether the answer is that the documents do not say."""

    def count(self, mark: Mark) -> int:
        """Returns how many sentences have a mark."""
        return sum(verdict.mark == mark for verdict in self.sentences)


def verify(answer: str, sources: Sequence[Source], embedder: Encoder | None = None) -> Verified:
    """Checks every sentence of an answer that claims something.

    Args:
        answer: what the model wrote, without its thoughts.
        sources: the documents of its context block.
        embedder: compares the meaning of sentences where their words differ; without one, words decide alone.
    """
    if says_unknown(answer):
        return Verified((), unknown=True)
    listed = _LIST_OF_SOURCES.search(answer)
    body = answer[: listed.start()] if listed else answer
    checker = _Checker(sources, embedder)
    found = [checker.judge(sentence) for sentence in sentences(body) if _claims(sentence)]
    return Verified(tuple(found))


def _claims(sentence: Sentence) -> bool:
    """Returns whether a sentence says something that could be wrong."""
    plain = without_citations(sentence.text).strip(" *_")
    if cited(citations(sentence.text)):
        return True
    if sentence.heading or plain.endswith(("?", ":")) or _TALK.match(plain) or says_unknown(plain):
        return False
    return len(content(tokens(plain))) >= 2


class _Checker:
    """The sources of one answer, read once."""

    def __init__(self, sources: Sequence[Source], embedder: Encoder | None) -> None:
        self._texts = {source.number: source.text for source in sources}
        self._above = {s.number: f"{s.passage.title}\n{s.passage.heading}\n{s.passage.path}" for s in sources}
        self._names = frozenset(name for source in sources for name in names_within(source.text))
        self._read: dict[tuple[int, ...], Evidence] = {}
        self._embedder = embedder
        self._vectors: dict[str, Vector] = {}

    def judge(self, sentence: Sentence) -> Verdict:
        """Returns the verdict on one sentence."""
        claim = without_citations(sentence.text).strip()
        ids = cited(citations(sentence.text))
        known = tuple(number for number in ids if number in self._texts)
        if len(claim) > LONGEST:
            return Verdict(
                sentence.text, sentence.start, sentence.end, ids, "unsupported", "too long to be one sentence"
            )
        if not known:
            return self._uncited(sentence, claim, ids)
        finding = self._examine(claim, known)
        missing = [Fault("weak", f"there is no document [{number}]") for number in ids if number not in self._texts]
        faults = (*finding.faults, *missing, *_empty(claim))
        mark = _mark(faults)
        better = None if mark == "supported" else self._better(claim, known, finding)
        return Verdict(sentence.text, sentence.start, sentence.end, ids, mark, _why(faults), better)

    def _uncited(self, sentence: Sentence, claim: str, ids: tuple[int, ...]) -> Verdict:
        """Returns the verdict on a sentence without a citation, or with one of a document that is not there."""
        why = f"there is no document [{ids[0]}]" if ids else "no citation"
        found = self._supporting(claim)
        if found and not ids:
            return Verdict(sentence.text, sentence.start, sentence.end, (), "weak", f"{why}; [{found}] says it", found)
        if not found and not ids:
            why += ", and no document says it"
        return Verdict(sentence.text, sentence.start, sentence.end, ids, "unsupported", why, found)

    def _examine(self, claim: str, ids: tuple[int, ...]) -> Finding:
        if ids not in self._read:
            text = "\n\n".join(self._texts[number] for number in ids)
            self._read[ids] = read(text, self._names, "\n".join(self._above[number] for number in ids))
        evidence = self._read[ids]
        if self._embedder is None:
            return examine(claim, evidence)
        vector = self._vector
        return examine(
            claim,
            evidence,
            lambda words: max((float(vector(words) @ vector(s.text)) for s in evidence.statements), default=0.0),
        )

    def _vector(self, text: str) -> Vector:
        """Returns the vector of a sentence, as of a question: that encoder is light, and both sides use it."""
        assert self._embedder is not None
        if text not in self._vectors:
            self._vectors[text] = self._embedder.encode_query(text)
        return self._vectors[text]

    def _supporting(self, claim: str) -> int | None:
        """Returns the document that supports a claim best, in a sentence, or None."""
        found = [(self._examine(claim, (number,)), number) for number in self._texts]
        good = [(f.coverage, -n) for f, n in found if _mark(f.faults) == "supported" and f.at_once]
        return -max(good)[1] if good else None

    def _better(self, claim: str, ids: tuple[int, ...], finding: Finding) -> int | None:
        """Returns another document that says clearly more of a claim, and nothing against it."""
        others = [number for number in self._texts if number not in ids]
        found = [(self._examine(claim, (number,)), number) for number in others]
        least = finding.coverage + BETTER_BY if _mark(finding.faults) == "weak" else 0.0
        good = [(f.coverage, -n) for f, n in found if _mark(f.faults) == "supported" and f.coverage >= least]
        return -max(good)[1] if good else None


def _empty(claim: str) -> list[Fault]:
    """Returns a fault where a claim says too little to be in a passage or not: `The answer is [1].`"""
    found = tokens(claim)
    said = content(found)
    told = len(found) > _SHORT or len(said) > 1 or any(token.kind != "word" for token in said)
    return [] if told else [Fault("weak", "it says too little to be checked")]


def _mark(faults: Sequence[Fault]) -> Mark:
    severities = {fault.severity for fault in faults}
    return "unsupported" if "unsupported" in severities else "weak" if severities else "supported"


def _why(faults: Sequence[Fault]) -> str:
    """Returns the reasons, those that decide first."""
    ordered = sorted(faults, key=lambda fault: fault.severity != "unsupported")
    return "; ".join(dict.fromkeys(fault.why for fault in ordered))
