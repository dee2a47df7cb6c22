"""What makes a grammar that reads well unusable: left recursion, rules without an end, too many ways to begin.

Knows rules, not their text; llama.cpp would hang, run out of memory or end the process on each of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from llmchat_engine.grammar.values import Grammar, Ref, Sequence, refuse

MOST_BEGINNINGS = 200_000
"""llama.cpp follows every path of first rules to look for left recursion, the same rule again and again."""
MOST_CHAIN = 5_000
"""Rules that begin with rules that begin with rules: llama.cpp follows them by recursion."""
Edges = Mapping[int, tuple[tuple[int, bool], ...]]
"""Of each rule: the rules that it can begin with, and whether anything follows them there."""


def check_rules(grammar: Grammar) -> None:
    """Looks for what llama.cpp cannot work with.

    Raises:
        RequestInvalid: `why` names the rule and its place.
    """
    _check_ends(grammar)
    empty = _can_be_empty(grammar)
    direct = {number for number, rule in enumerate(grammar.rules) if () in rule}
    for members, _ in _cycles(_edges(grammar, direct)):
        _refuse_recursion(grammar, members)
    for members, grows in _cycles(_edges(grammar, empty)):
        if grows:  # (x*)* is harmless: nothing follows, so the stack stays as it is
            _refuse_recursion(grammar, members)
    _check_beginnings(grammar, _edges(grammar, direct))


def _spoken(grammar: Grammar, number: int) -> str:
    return grammar.names[number] if number in grammar.written else grammar.names[number].partition("_")[0]


def _refuse_recursion(grammar: Grammar, members: list[int]) -> None:
    number = min((n for n in members if n in grammar.written), default=min(members))
    name = _spoken(grammar, number)
    hint = "write a repetition instead: (item)* or item (separator item)*"
    refuse(grammar.text, grammar.places[number], f"the rule {name} can begin with itself", hint)


def _fixpoint(grammar: Grammar, *, every: bool) -> set[int]:
    """Returns the rules of which one alternative is made of rules that are in the set; characters count as `every`."""
    users: dict[int, set[int]] = {}
    for number, rule in enumerate(grammar.rules):
        for part in (part for sequence in rule for part in sequence if isinstance(part, Ref)):
            users.setdefault(part.rule, set()).add(number)
    found: set[int] = set()
    todo = list(range(len(grammar.rules)))
    while todo:
        number = todo.pop()
        if number not in found and any(
            all(part.rule in found if isinstance(part, Ref) else every for part in sequence)
            for sequence in grammar.rules[number]
        ):
            found.add(number)
            todo += users.get(number, ())
    return found


def _can_be_empty(grammar: Grammar) -> set[int]:
    return _fixpoint(grammar, every=False)


def endless(grammar: Grammar) -> tuple[str, ...]:
    """Returns the names of the rules that no finite text can satisfy."""
    ending = _fixpoint(grammar, every=True)
    return tuple(grammar.names[number] for number in sorted(grammar.written - ending))


def _check_ends(grammar: Grammar) -> None:
    for name in endless(grammar):
        why = f"the rule {name} never ends: each of its alternatives needs one that does not"
        refuse(grammar.text, grammar.places[grammar.names.index(name)], why)


def _edges(grammar: Grammar, empty: set[int]) -> Edges:
    return {
        number: tuple(edge for sequence in rule for edge in _beginnings(sequence, empty))
        for number, rule in enumerate(grammar.rules)
    }


def _beginnings(sequence: Sequence, empty: set[int]) -> Iterator[tuple[int, bool]]:
    for index, part in enumerate(sequence):
        if not isinstance(part, Ref):
            return
        yield part.rule, index + 1 < len(sequence)
        if part.rule not in empty:
            return


def _cycles(edges: Edges) -> Iterator[tuple[list[int], bool]]:
    """Yields every group of rules that can begin with one another, and whether anything is left behind on the way."""
    for members in _components(edges):
        inside = set(members)
        within = [grows for number in members for target, grows in edges[number] if target in inside]
        if within:
            yield members, any(within)


def _components(edges: Edges) -> Iterator[list[int]]:
    """Yields the strongly connected components (Tarjan's, without recursion), each behind those that it leads to."""
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    path: list[int] = []
    on_path: set[int] = set()
    for start in edges:
        work = [(start, iter(edges[start]))] if start not in order else []
        while work:
            number, targets = work[-1]
            if number not in order:
                order[number] = low[number] = len(order)
                path.append(number)
                on_path.add(number)
            for target, _ in targets:
                if target not in order:
                    work.append((target, iter(edges[target])))
                    break
                if target in on_path:
                    low[number] = min(low[number], order[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[number])
                if low[number] == order[number]:
                    members = [path.pop()]
                    while members[-1] != number:
                        members.append(path.pop())
                    on_path.difference_update(members)
                    yield members


def _check_beginnings(grammar: Grammar, edges: Edges) -> None:
    """Counts the paths of first rules from each rule; there are no cycles any more."""
    paths: dict[int, int] = {}
    depth: dict[int, int] = {}
    for (number,) in _components(edges):
        paths[number] = 1 + sum(paths[target] for target, _ in edges[number])
        depth[number] = 1 + max((depth[target] for target, _ in edges[number]), default=0)
        if paths[number] > MOST_BEGINNINGS or depth[number] > MOST_CHAIN:
            what = f"the rule {_spoken(grammar, number)} can begin in too many ways"
            refuse(grammar.text, grammar.places[number], what, "begin its alternatives with different characters")
