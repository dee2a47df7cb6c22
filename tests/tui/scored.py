"""Replies that were scored, and an engine that scores as it is told: for the tests of the token view."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

from llmchat_engine import EngineError, Event, Loaded, Prefill, Request, Waiting
from llmchat_engine.answers import Candidate, Score, TokenLogprob
from llmchat_engine.events import Scored, nothing_generated
from llmchat_engine.testing import FAKE_MODEL, FakeEngine
from llmchat_tui.history import StoredMessage
from llmchat_tui.token_view import ScoredReply, shown_tokens

SHARES = (0.97, 0.61, 0.92, 0.34, 0.99, 0.71, 0.03, 0.95, 0.18, 0.88)
"""How likely the tokens of a reply are, round and round."""
OTHERS = (" maybe", " the", "\n", " Vatican", " 75", ",")
FIRST_OTHER = 900
"""The id of the first of them."""
TEXT = """\
Rome was founded in 753 BC, as the Romans told it.

The first kings were:

1. **Romulus**, who gave the city its name, and killed his brother for a jump over a wall;
2. Numa Pompilius, who loved peace.

```python
def kings():
\treturn 7
```
After seven of them the Romans had enough."""


def told(number: int, text: str, share: float) -> TokenLogprob:
    """Returns a token of this probability; each of the others has a half of what is left."""
    found = [
        Candidate(FIRST_OTHER + at, other, math.log((1 - share) / 2 ** (at + 1))) for at, other in enumerate(OTHERS)
    ]
    own = Candidate(number, text, math.log(share))
    top = tuple(sorted((own, *found), key=lambda one: -one.logprob))
    return TokenLogprob(number, text, own.logprob, top, 1 + top.index(own), 0.9)


def pieces(text: str) -> list[str]:
    """Returns a text in pieces as small as tokens."""
    return re.findall(r"\n+|\s?\w{1,5}|\s?[^\w\s]+|\s", text)


def all_told(parts: Sequence[str]) -> tuple[TokenLogprob, ...]:
    """Returns the tokens of a text, the first with id 0."""
    return tuple(
        told(number, part, share) for number, (part, share) in enumerate(zip(parts, cycle(SHARES), strict=False))
    )


def stored(text: str, count: int, **changes: Any) -> StoredMessage:
    """Returns a reply of the fake model with one id a token."""
    values = {"token_ids": tuple(range(count)), "model_key": FAKE_MODEL.key, **changes}
    return StoredMessage("r", "c", "q", "assistant", text, "complete", 1.0, **values)


def scored(
    parts: Sequence[str], thought: int = 0, *, own: bool = True, marks: frozenset[int] = frozenset()
) -> ScoredReply:
    """Returns a scored reply; so many of its tokens, from the first on, are its thought."""
    settings = {"thought": {"text": "".join(parts[:thought]), "tokens": thought}} if thought else {"model": "other-7B"}
    key = FAKE_MODEL.key if own else "another"
    reply = stored("".join(parts[thought:]), len(parts), settings=settings, model_key=key)
    tokens = all_told(parts)
    score = Score(sum(token.logprob for token in tokens), len(tokens), tokens)
    return ScoredReply(reply, FAKE_MODEL, score, shown_tokens(tokens, reply, thought), own, marks)


@dataclass
class ScoringEngine(FakeEngine):
    """Scores these pieces, whatever it is asked about, once it may."""

    parts: Sequence[str] = ()
    scored: list[tuple[Request, Sequence[str | Sequence[int]]]] = field(default_factory=list)
    may_end: threading.Event = field(default_factory=threading.Event)
    failure: EngineError | None = None
    closed: int = 0

    def score(
        self, request: Request, continuations: Sequence[str | Sequence[int]]
    ) -> Generator[Event | Scored, None, None]:
        """Yields progress, waits until it may end, and says how likely each piece is."""
        self.scored.append((request, continuations))
        yield Loaded(self.model, 0.0)
        yield Prefill(512, 2314, 256)
        if self.failure:
            raise self.failure
        stopped = self._cancelled.setdefault(request.id, threading.Event())
        while not self.may_end.wait(0.005):
            yield Waiting()
            if stopped.is_set():
                yield nothing_generated(request)
                return
        tokens = all_told(self.parts)
        yield Scored((Score(sum(token.logprob for token in tokens), len(tokens), tokens),), 40, 40, 0.1)

    def close(self) -> None:
        """Counts."""
        self.closed += 1
