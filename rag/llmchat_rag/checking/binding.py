"""Who did what, and which number belongs to whom: swaps that leave every word of a claim in the passage.

A number or a name is bound to what stands with it between two commas. Where the claim says of it what the passage says
of another one, the two were swapped. Knows statements, no marks.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from llmchat_rag.checking import lexicon
from llmchat_rag.checking.clauses import Statement, clauses, content
from llmchat_rag.checking.matching import matches
from llmchat_rag.checking.tokens import Token, fold

_WEIGHTS = {"name": 3.0, "number": 2.0, "word": 1.0}
_BOUND = 0.6
"""Where this much of what stands with a number is in the claim, it is bound well, whatever else fits."""

_FROM = lexicon.words("from von de desde da")
_TO = lexicon.words("to into onto nach bis zu a jusqu hasta")
_CONTRASTS = lexicon.STRONG_BREAKS | {"but", "aber", "mais", "pero", "and", "und", "et", "y"}

_CELLS = 2
"""Upright lines in a row of a table."""
Part = list[Token]


def swapped(claim: Statement, evidence: Sequence[Statement]) -> str:
    """Returns why a claim says of one thing what the passage says of another, or nothing.

    Args:
        claim: a sentence whose words and numbers are in the passage.
        evidence: the sentences of the passage.
    """
    for statement in evidence:
        for why in (_roles(claim, statement), _directions(claim, statement), _subjects(claim, statement)):
            if why:
                return why
    return _bindings(claim, evidence)


def scattered(claim: Statement, evidence: Sequence[Statement]) -> str:
    """Returns why no row of a table has all that a claim takes from rows, or nothing.

    Args:
        claim: a sentence whose words and numbers are in the passage.
        evidence: the sentences of the passage; a row of a table is one.
    """
    rows = [statement for statement in evidence if statement.text.count("|") >= _CELLS]
    others = [statement for statement in evidence if statement.text.count("|") < _CELLS]
    prose = [token for statement in [*others, *rows[:1]] for token in statement.tokens]  # the first row names columns
    cells = [token for token in content(claim.tokens) if token.kind in ("name", "number")]
    cells = [token for token in cells if not any(matches(token, other) for other in prose)]
    found = [[any(matches(cell, token) for token in row.tokens) for cell in cells] for row in rows]
    if len(cells) < 2 or not found or not all(map(any, zip(*found, strict=True))) or any(map(all, found)):
        return ""
    most = max(found, key=sum)
    return f"{cells[most.index(False)].text} stands in another row"


def _kind(token: Token) -> str:
    """Returns what a token competes with: another name, another year, another number of seconds."""
    if token.kind != "number":
        return token.kind
    if token.unit:
        return token.unit.dimension
    if token.spelled:
        return "count"
    value = min(token.values)
    return "year" if 1000 <= value <= 2100 and len(token.text) == 4 else "number"


def _parts(statement: Statement, kind: str) -> list[Part]:
    """Returns the clauses of a statement, joined until each has a token of a kind and something to go with it.

    A number goes with what stands between two commas. A name may stand far from what is said of it: it goes with a
    clause that has a verb of its own.
    """
    strong = {part[0].start for part in clauses(statement.text, statement.tokens, strong=True)}
    parts: list[Part] = []
    waiting: Part = []
    for clause in clauses(statement.text, statement.tokens, strong=kind == "name"):
        begins = clause[0].start in strong
        if parts and waiting and begins:
            parts[-1] += waiting
            waiting = []
        joined = waiting + clause
        own = [token for token in content(joined) if _kind(token) == kind]
        if own and len(own) == len(content(joined)) and parts and not begins and not waiting:
            parts[-1] += joined
            waiting = []
        elif own and (len(content(joined)) > len(own) or parts):
            parts.append(joined)
            waiting = []
        else:
            waiting = joined
    if waiting and parts:
        parts[-1] += waiting
    return parts or ([waiting] if waiting else [])


def _bindings(claim: Statement, evidence: Sequence[Statement]) -> str:
    """Returns the number or name that is bound to something else in the passage."""
    for kind in dict.fromkeys(_kind(token) for token in content(claim.tokens) if token.kind in ("number", "name")):
        each = [_unshared(_parts(statement, kind), kind) for statement in evidence]
        groups = each if kind == "name" else [[part for parts in each for part in parts]]
        slots = [(slot, mine) for mine in _parts(claim, kind) for slot in content(mine) if _kind(slot) == kind]
        for slot, mine in slots:
            for theirs in groups:
                if rival := _bound_elsewhere(slot, mine, theirs, kind):
                    return f"the passage says it of {rival.text}, not of {slot.text}"
    return ""


def _unshared(parts: list[Part], kind: str) -> list[Part]:
    """Returns the parts without what the first one says for all: `Prices were 6 % here and 9 % there`."""
    if len(parts) < 2 or any(_before(part, kind) for part in parts[1:]):
        return parts
    shared = {id(token) for token in _before(parts[0], kind)}
    return [[token for token in parts[0] if id(token) not in shared], *parts[1:]]


def _before(part: Part, kind: str) -> list[Token]:
    found = content(part)
    return found[: next((i for i, token in enumerate(found) if _kind(token) == kind), 0)]


def _bound_elsewhere(slot: Token, mine: Part, theirs: list[Part], kind: str) -> Token | None:
    """Returns the rival that the passage says the claim of, or None where the slot is bound well."""
    own = [part for part in theirs if any(matches(slot, token) for token in part)]
    if not own:
        return None
    best = max(_covered(part, mine, kind) for part in own)
    if best >= _BOUND:
        return None
    leader = _leader(slot, mine)
    led = leader and any(matches(leader, token) for part in own for token in part)
    for part in theirs:
        rivals = [token for token in content(part) if _kind(token) == kind]
        if any(part is other for other in own) or not rivals or any(matches(m, r) for m in mine for r in rivals):
            continue
        if leader and not led and any(matches(leader, token) for token in _others(part, kind)):
            return rivals[0]
        if _covered(part, mine, kind) > best and _weight_found(part, mine, kind) > max(
            _weight_found(other, mine, kind) for other in own
        ):
            return rivals[0]
    return None


def _leader(slot: Token, mine: Part) -> Token | None:
    """Returns the word that leads to a number: `completed` of `was completed in 532`."""
    before = content([token for token in mine if token.end <= slot.start])
    return before[-1] if slot.kind == "number" and before and before[-1].kind == "word" else None


def _others(part: Part, kind: str) -> list[Token]:
    return [token for token in content(part) if _kind(token) != kind]


def _weight_found(part: Part, mine: Part, kind: str) -> float:
    """Returns the weight of what stands in a part of the passage and in the claim."""
    return sum(_WEIGHTS[t.kind] for t in _others(part, kind) if any(matches(m, t) for m in content(mine)))


def _covered(part: Part, mine: Part, kind: str) -> float:
    total = sum(_WEIGHTS[token.kind] for token in _others(part, kind))
    return _weight_found(part, mine, kind) / total if total else 0.0


def _subjects(claim: Statement, statement: Statement) -> str:
    """Returns the word whose clause says something else, where a sister clause has all but its own subject."""
    theirs = clauses(statement.text, statement.tokens, strong=True)
    if len(theirs) < 2:
        return ""
    for mine in clauses(claim.text, claim.tokens, strong=True):
        said = content(mine)
        for end in (0, -1):
            if said and (rival := _sister(said[end], said, theirs, end)):
                return f"the passage says it of {rival.text}, not of {said[end].text}"
    return ""


def _sister(slot: Token, said: Part, theirs: list[Part], end: int) -> Token | None:
    own = [part for part in theirs if any(matches(slot, token) for token in part)]
    if len(own) != 1 or slot.kind == "number":
        return None
    rest = [token for token in said if token is not slot]
    for part in theirs:
        found = content(part)
        if part is own[0] or not found or any(matches(m, found[end]) for m in said):
            continue
        if _share(found, rest) > _share([t for t in content(own[0]) if not matches(slot, t)], rest):
            return found[end]
    return None


def _share(part: Part, said: Part) -> float:
    return sum(any(matches(m, token) for m in said) for token in part) / len(part) if part else 0.0


def _roles(claim: Statement, statement: Statement) -> str:
    """Returns the pair of names that changed places around the same verb."""
    compared = all(any(fold(t.text) in ("than", "als") for t in s.tokens) for s in (claim, statement))
    kinds = ("name", "word") if compared else ("name",)
    slots = [i for i, token in enumerate(claim.tokens) if token.kind in kinds]
    for first, second in combinations(slots, 2):
        one, other = claim.tokens[first], claim.tokens[second]
        between = claim.tokens[first + 1 : second]
        if any(fold(t.text) in _CONTRASTS for t in between):
            continue
        if compared and not any(fold(t.text) in ("than", "als") for t in between):
            continue
        if one.key != other.key and _turned(one, other, between, statement):
            return f"in the passage {one.text} and {other.text} have each other's place"
    return ""


def _turned(one: Token, other: Token, between: Sequence[Token], statement: Statement) -> bool:
    """Returns whether the passage has two names the other way round about what stands between them."""
    places = [[i for i, t in enumerate(statement.tokens) if matches(name, t)] for name in (one, other)]
    if len(places[0]) != 1 or len(places[1]) != 1 or places[0] == places[1]:
        return False
    low, high = sorted((places[0][0], places[1][0]))
    theirs = statement.tokens[low + 1 : high]
    verbs = [token for token in content(between) if token.kind == "word"]
    if not any(matches(verb, token) for verb in verbs for token in content(theirs) if token.kind == "word"):
        return False
    reversed_order = places[0][0] > places[1][0]
    return reversed_order != (_passive(between) != _passive(theirs))


def _passive(between: Sequence[Token]) -> bool:
    return any(fold(token.text) in lexicon.BY for token in between)


def _directions(claim: Statement, statement: Statement) -> str:
    """Returns the two ends of a `from … to …` that changed places."""
    mine, theirs = _from_to(claim.tokens), _from_to(statement.tokens)
    if not mine or not theirs or _meet(mine[0], theirs[0]) or _meet(mine[1], theirs[1]):
        return ""
    if _meet(mine[0], theirs[1]) and _meet(mine[1], theirs[0]):
        return f"the passage goes from {theirs[0][0].text} to {theirs[1][0].text}"
    return ""


def _meet(some: Part, others: Part) -> bool:
    return any(matches(one, other) for one in some for other in others)


def _from_to(found: Sequence[Token]) -> tuple[Part, Part] | None:
    """Returns what stands behind a `from` and behind the `to` after it, up to three words each."""
    words = [fold(token.text) for token in found]
    start = next((i for i, word in enumerate(words) if word in _FROM), None)
    goal = next((i for i, word in enumerate(words) if start is not None and i > start and word in _TO), None)
    if start is None or goal is None:
        return None
    ends = content(found[start:goal])[:3], content(found[goal : goal + 5])[:2]
    return ends if all(ends) else None
