"""One sentence of an answer against the text that it cites: everything that speaks against it, and how much is covered.

The checks are words and rules, no model: what a small model gets wrong most is a number, a name or a `not`, and those
need no meaning. Cosines of sentences come in from outside where an embedder is at hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from llmchat_rag.checking import lexicon
from llmchat_rag.checking.binding import scattered, swapped
from llmchat_rag.checking.clauses import Statement, clauses, content, denied
from llmchat_rag.checking.matching import has_any, matches, same_value
from llmchat_rag.checking.polarity import best_clauses, broadened, flipped, opposed, surer
from llmchat_rag.checking.sentences import sentences
from llmchat_rag.checking.tokens import Token, fold, names_within, tokens

Severity = Literal["unsupported", "weak"]
COVERED, HALF_COVERED = 0.6, 0.35
"""Shares of a claim's words: from the first on the passage says it, below the second it does not."""
AT_ONCE, _LEAST_WORDS = 0.75, 3
"""Share, and number, of a claim's words that one sentence has where nobody pointed to it."""
ALIKE, HALF_ALIKE, ALIKE_STRETCH = 0.7, 0.6, 0.33
"""Cosines from which other words say the same. Of a stretch of unsaid words: what was added had at most 0.25 on the
set to tune on, what said it in other words mostly 0.35 or more."""
Similar = Callable[[str], float]
QUOTED = 0.9
"""How alike a quote must be to what it quotes; the rest is for hyphens and odd spaces."""
_QUOTE = re.compile(r"[\"“„«»]\s*([^\"“”„«»]{8,}?)\s*[\"”“«»]")
_NEAR, _RELATED = 0.8, 0.5
"""Sentences with this share of what the best one covers are as good as it, or speak of the same thing."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that speaks against a claim."""

    severity: Severity
    why: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """A text that is cited, read once for all claims."""

    statements: tuple[Statement, ...]
    tokens: tuple[Token, ...]
    names: frozenset[str]
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of a claim."""

    coverage: float
    faults: tuple[Fault, ...]
    at_once: bool = False
    """Whether one sentence of the text has nearly all of it: words that are all over a text say nothing together."""


def read(text: str, names: frozenset[str] = frozenset(), above: str = "") -> Evidence:
    """Returns a cited text ready to be compared.

    Args:
        text: of the passage.
        names: folded words that are names in all that was read.
        above: what stands over it, as a title does: its words and names count, and it states nothing.
    """
    names |= names_within(text)
    cut = [Statement(s.text, tuple(tokens(s.text, names))) for s in sentences(text)]
    said = [token for s in cut for token in s.tokens]
    said += [token for token in tokens(above, names) if token.kind in ("word", "name")]
    return Evidence(tuple(cut), tuple(said), names, text)


def unlike(_: str) -> float:
    """Returns 0: nothing is alike where no embedder is at hand."""
    return 0.0


def examine(claim: str, evidence: Evidence, similar: Similar = unlike) -> Finding:
    """Compares a claim with the text that it cites.

    Args:
        claim: one sentence, without its citations.
        evidence: the text, or the texts, that it cites.
        similar: the greatest cosine of some words and a sentence of the text; asked only where words differ.
    """
    statement = Statement(claim, tuple(tokens(claim, evidence.names)))
    coverage = _coverage(content(statement.tokens), evidence.tokens)
    faults = [*_quotes(claim, evidence), *_numbers(statement, evidence), *_names(statement, evidence)]
    faults += _meaning(statement, evidence)
    faults += _words(statement, evidence, coverage, similar)
    return Finding(coverage, tuple(faults), _at_once(statement, evidence))


def _at_once(claim: Statement, evidence: Evidence) -> bool:
    wanted = list({token.key: token for token in content(claim.tokens)}.values())
    best = max((_coverage(wanted, statement.tokens) for statement in evidence.statements), default=0.0)
    return len(wanted) >= _LEAST_WORDS and best >= AT_ONCE


def _coverage(wanted: Sequence[Token], found: Sequence[Token]) -> float:
    said = [token for token in wanted if not token.loose]
    return sum(any(matches(token, other) for other in found) for token in said) / len(said) if said else 1.0


def _quotes(claim: str, evidence: Evidence) -> list[Fault]:
    quotes = [quote for quote in _QUOTE.findall(claim) if len(quote.split()) >= 4]
    missing = [quote for quote in quotes if not quoted(quote, evidence.text)]
    return [Fault("unsupported", f"“{_short(quote)}” is not a quote from it") for quote in missing]


def quoted(quote: str, text: str) -> bool:
    """Returns whether a text holds a quote, give or take spaces, dashes, quote marks and a letter in ten."""
    wanted, whole = _flat(quote), _flat(text)
    if not wanted or wanted in whole:
        return bool(wanted)
    words, found = wanted.split(), whole.split()
    starts = range(max(1, len(found) - len(words) + 1))
    return any(_alike(wanted, " ".join(found[start : start + len(words)])) for start in starts)


def _alike(one: str, other: str) -> bool:
    compared = SequenceMatcher(None, one, other, autojunk=False)
    return compared.real_quick_ratio() >= QUOTED and compared.quick_ratio() >= QUOTED and compared.ratio() >= QUOTED


def _flat(text: str) -> str:
    text = re.sub(r"(?<=\w)[-‐‑]\s*\n\s*(?=[a-zà-ÿ])|\u00ad", "", text)
    folded = fold(re.sub(r"[-‐‑‒–—―]+", "-", text))
    return " ".join(re.sub(r"[\"'“”„«»‘’`*_]+", "", folded).split()).strip(" .,;:!?…")


def _numbers(claim: Statement, evidence: Evidence) -> list[Fault]:
    faults = []
    for place, token in enumerate(claim.tokens):
        if token.kind != "number":
            continue
        about = has_any(claim.tokens[max(0, place - 2) : place], lexicon.APPROXIMATE)
        if any(matches(token, other, about) for other in evidence.tokens):
            continue
        written = claim.text[token.start : token.end]
        others = [o for o in evidence.tokens if o.unit and token.unit and same_value(token, o)]
        if others:
            faults.append(Fault("unsupported", f"{written} is in it with another unit"))
        else:
            small = token.spelled and max(token.values) <= 3
            faults.append(Fault("weak" if small else "unsupported", f"{written} is not in it"))
    return faults


def _names(claim: Statement, evidence: Evidence) -> list[Fault]:
    missing = [
        token
        for token in claim.tokens
        if token.kind == "name" and not any(matches(token, other) for other in evidence.tokens)
    ]
    return [Fault("unsupported", f"{token.text} is not in it") for token in missing]


def _meaning(claim: Statement, evidence: Evidence) -> list[Fault]:
    """Returns what is denied, widened or swapped, clause by clause, against the sentences that fit each clause best."""
    faults: list[Fault] = []
    for part in clauses(claim.text, claim.tokens, strong=True):
        near = _nearest(part, evidence)
        if not near:
            continue
        found = [_against(claim.text, part, statement) for statement in near]
        faults += [fault for fault in found[:1] if fault and all(found)]
        if _denies(claim.text, part, evidence):
            faults.append(Fault("unsupported", "it says the opposite: one of the two has a “not”"))
    if evidence.statements and (why := swapped(claim, evidence.statements) or scattered(claim, evidence.statements)):
        faults.append(Fault("unsupported", why))
    return faults


def _nearest(part: Sequence[Token], evidence: Evidence) -> list[Statement]:
    """Returns the sentences that have most of a clause's words, best first."""
    wanted = content(part)
    scored = [(_coverage(wanted, statement.tokens), statement) for statement in evidence.statements]
    best = max((score for score, _ in scored), default=0.0)
    near = [(score, statement) for score, statement in scored if score >= _NEAR * best and score > 0]
    return [statement for _, statement in sorted(near, key=lambda pair: -pair[0])]


def _denies(text: str, part: list[Token], evidence: Evidence) -> bool:
    """Returns whether a sentence denies a clause, or is denied by it, and no other one says it plainly."""
    best = max(_coverage(content(part), statement.tokens) for statement in evidence.statements)
    flips = [(statement, flipped(text, part, statement)) for statement in evidence.statements]
    for statement, words in flips:
        others = [other.tokens for other, words_denied in flips if not words_denied]
        below = [token for scope in denied(statement.text, statement.tokens) for token in scope]
        others.append(tuple(t for t in statement.tokens if not any(t is d for d in below)) if below else ())
        plain = any(all(any(matches(w, t) for t in other) for w in words) for other in others)
        if words and not plain and _coverage(content(part), statement.tokens) >= _RELATED * best:
            return True
    return False


def _against(text: str, part: list[Token], statement: Statement) -> Fault | None:
    """Returns what in one sentence speaks against one clause of the claim."""
    below = [token for scope in denied(text, part) + denied(statement.text, statement.tokens) for token in scope]
    for piece in clauses(text, part):
        pairs = [opposed(piece, clause, below) for clause in best_clauses(statement, piece)]
        if pairs[0] and all(pairs):
            return Fault("unsupported", f"it says {pairs[0][1]}, not {pairs[0][0]}")
    if wider := broadened(part, statement.tokens):
        return Fault("unsupported" if wider[1] else "weak", f"it does not say “{wider[0]}”")
    if doubt := surer(part, best_clauses(statement, part)[0]):
        return Fault("weak", f"it is less sure: “{doubt}”")
    return None


def _words(claim: Statement, evidence: Evidence, coverage: float, similar: Similar) -> list[Fault]:
    """Returns whether too many of the words are not in the passage, in all or in one stretch."""
    for stretch in _unsaid(claim, evidence):
        if similar(stretch) < ALIKE_STRETCH:
            severity: Severity = "weak" if coverage >= HALF_COVERED else "unsupported"
            return [Fault(severity, f"“{_short(stretch)}” is not in it")]
    if coverage >= COVERED or (alike := similar(claim.text)) >= ALIKE:
        return []
    severity = "weak" if coverage >= HALF_COVERED or alike >= HALF_ALIKE else "unsupported"
    return [Fault(severity, f"{coverage:.0%} of its words are in it")]


def _unsaid(claim: Statement, evidence: Evidence) -> list[str]:
    """Returns the stretches of two words or more that are not in the passage."""
    stretches: list[list[Token]] = [[]]
    for token in (token for token in content(claim.tokens) if not token.loose):
        if any(matches(token, other) for other in evidence.tokens):
            stretches.append([])
        else:
            stretches[-1].append(token)
    return [claim.text[part[0].start : part[-1].end] for part in stretches if len(part) > 1]


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59].rstrip() + "…"
