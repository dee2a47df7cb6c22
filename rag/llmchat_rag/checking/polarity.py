"""Does a sentence deny what the passage says, or say more than it: `not`, opposites, `all` for `some`.

Knows one sentence of a claim and one of a passage at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

from llmchat_rag.checking import lexicon
from llmchat_rag.checking.clauses import Statement, clauses, content, denied
from llmchat_rag.checking.matching import has_any, matches, opposite, undone
from llmchat_rag.checking.tokens import Token, fold, stem

_SHARE = 0.6
"""Of what is denied: where the other side has this much of it, it is the same statement."""


def flipped(claim_text: str, claim: Sequence[Token], statement: Statement) -> list[Token]:
    """Returns the words of a claim that it denies and the sentence does not, or the other way round."""
    mine, theirs = denied(claim_text, claim), denied(statement.text, statement.tokens)
    words = _denied(theirs, mine, statement.tokens, claim) or _denied(mine, theirs, claim, statement.tokens)
    return [token for token in content(claim) if any(matches(token, word) for word in words)]


def _denied(
    scopes: list[list[Token]], others: list[list[Token]], side: Sequence[Token], other: Sequence[Token]
) -> list[Token]:
    """Returns the words that one side denies and the other states plainly."""
    excused = any(_excuses(token, side) for token in other)
    below = [token for scope in others for token in scope]
    for scope in scopes:
        same = [[o for o in content(other) if matches(token, o)] for token in scope]
        found = [hit for hit in same if hit]
        central = bool(same[0]) or len(found) >= _SHARE * len(scope)
        plain = not any(o in below for hit in found for o in hit)
        if found and central and plain and not excused:
            return [token for token, hit in zip(scope, same, strict=True) if hit]
    return []


def _excuses(token: Token, side: Sequence[Token]) -> bool:
    """Returns whether a word denies without a `not`, and is not itself what is denied on the other side."""
    words = {fold(token.text), token.key}
    if any(undone(token.key, other.key) for other in side):
        return True
    if not words & lexicon.SOFT_NEGATIVES:
        return False
    return not any(token.key == other.key or fold(token.text) == fold(other.text) for other in side)


def opposed(claim: Sequence[Token], evidence: Sequence[Token], below: Sequence[Token]) -> tuple[str, str] | None:
    """Returns a word of the claim and its opposite in the passage, where both stand for the same thing, or None.

    Args:
        claim: a clause of it.
        evidence: the clause of the passage that fits it best.
        below: what either of them denies: `not raised` may well be `lowered`.
    """
    mine = [token for token in claim if not any(token is other for other in below)]
    theirs = [token for token in evidence if not any(token is other for other in below)]
    for token in mine:
        if token.kind == "number" or any(_written_alike(token, other) for other in theirs):
            continue
        for other in theirs:
            if other.kind != "number" and opposite(_stem(token), _stem(other)) and not _said(other, mine):
                return token.text, other.text
    return None


def _written_alike(one: Token, other: Token) -> bool:
    return _stem(one) == _stem(other) or (one.kind != "stop" and other.kind != "stop" and matches(one, other))


def _said(token: Token, found: Sequence[Token]) -> bool:
    return any(_stem(token) == _stem(other) for other in found)


def _stem(token: Token) -> str:
    return stem(fold(token.text))


def broadened(claim: Sequence[Token], evidence: Sequence[Token]) -> tuple[str, bool] | None:
    """Returns the word that makes a claim wider than its evidence, and whether the evidence narrows it, or None."""
    narrow = has_any(evidence, lexicon.PARTIAL)
    for token in claim:
        word = fold(token.text)
        if word in lexicon.UNIVERSAL and not has_any(evidence, lexicon.UNIVERSAL | {"each", "any", "both", "per"}):
            return token.text, narrow
        if word in lexicon.MOST and has_any(evidence, lexicon.LITTLE) and not has_any(evidence, lexicon.MOST):
            return token.text, True
    return None


def surer(claim: Sequence[Token], evidence: Sequence[Token]) -> str:
    """Returns the doubt of the passage that the claim leaves out, or nothing."""
    if has_any(claim, lexicon.DOUBT | {"may", "could", "possible", "likely", "probably", "expect"}):
        return ""
    for before, token in zip([None, *evidence], evidence, strict=False):
        stressed = before is not None and fold(before.text) in (
            "can",
            "could",
            "cannot",
        )  # `as fast as can possibly be`
        if fold(token.text) in lexicon.DOUBT and not stressed:
            return token.text
    return ""


def best_clauses(statement: Statement, claim: Sequence[Token]) -> list[list[Token]]:
    """Returns the clauses of a sentence that have most of a claim; several where none has more."""
    wanted = content(claim)
    parts = clauses(statement.text, statement.tokens)
    scores = [sum(any(matches(c, e) for e in part) for c in wanted) for part in parts]
    return [part for part, score in zip(parts, scores, strict=True) if score == max(scores)]
