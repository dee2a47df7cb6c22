"""The thought of one reply: told apart from the answer, kept to its budget, opened and closed by force where asked.

Knows ids and their bytes; no context and no sampling. How a model marks its thoughts is thought_forms.py's business.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llmchat_engine.errors import RequestInvalid
from llmchat_engine.host.detokenize import Detokenizer

if TYPE_CHECKING:
    from llmchat_engine.host.prompt import Prompt
    from llmchat_engine.host.thought_forms import ThoughtForm
    from llmchat_engine.types import Request

DOES_NOT_THINK = "this model does not think; a chain of thought has any model reason: cot zero-shot"

MOST_FORCED = 64
"""Tokens that stand before an answer by force; a vocabulary that cannot spell what closes a thought has no end."""


@dataclass(frozen=True, slots=True)
class ThoughtPlan:
    """What is known of a reply's thought before the reply."""

    form: ThoughtForm
    prompt: tuple[int, ...] = ()
    """The template's own text that opens the reply."""
    begun: tuple[int, ...] = ()
    """The reply that is continued."""
    open: bool = False
    """Whether a thought is begun where neither the template nor the reply has begun one."""
    budget: int | None = None
    """The most tokens of thought that may be drawn; then it is closed."""
    forbidden: tuple[int, ...] = ()
    """Tokens that must not be drawn."""
    concluded: Collection[int] = ()
    """The answers whose thought is to be closed, by index; may grow meanwhile."""


class Thought:
    """What one reply thinks, from its first token on.

    Attributes:
        over: the answer has begun, or what comes is one from the start; nothing is told here any more.
        count: so many tokens of the reply, from the first on, are the thought, its marks and the blanks behind it.
        first: the first bytes of the answer, token by token, once it is over.
        is_split: the token that closed it says the answer's first bytes too: no token stands between the two.
        seconds: how long it took.
    """

    def __init__(self, plan: ThoughtPlan, piece: Callable[[int], bytes], *, constrained: bool = False) -> None:
        """Begins where the prompt leaves off.

        Args:
            plan: what is known of it.
            piece: the bytes of a token.
            constrained: whether a grammar says what the answer is to be, to its first byte.
        """
        self._piece, self._constrained, self._form = piece, constrained, plan.form
        self._track = plan.form.track(piece)
        self._budget, self._spent = plan.budget, 0
        self._forced: deque[int] = deque()
        self._is_forced = False
        self._began, self.seconds = time.perf_counter(), 0.0
        self.over = self._shown = self._in_text = False
        self._blank = ""
        self._restart()
        self._track.read(plan.prompt)
        if plan.begun:
            self._replay(plan.begun)
        elif plan.open and not self._track.hidden:
            self._forced.extend(plan.form.opening)
        self.over = self.over or (constrained and not (self.free or self.openers or self._forced))

    def _replay(self, begun: tuple[int, ...]) -> None:
        """Goes through a reply that is continued: what it was is known, and not told again."""
        for token in begun:
            if not self.over:
                self.take(token)
        gap = "" if self._in_text else self._blank
        shown = self._shown and self._track.hidden
        self._restart()
        self._shown, self._blank = shown, gap

    def _restart(self) -> None:
        self.count, self.first, self.is_split = 0, list[bytes](), False
        self._words = Detokenizer(self._piece, self._track.stop)
        self._parts, self._undecided = list[str](), list[bytes]()
        self._shown, self._blank, self._in_text = False, "", False

    @property
    def text(self) -> str:
        """What was thought."""
        return "".join(self._parts)

    @property
    def free(self) -> bool:
        """Whether the next token is no answer's, whatever it is: no grammar holds for it."""
        return not self.over and self._track.hidden

    @property
    def openers(self) -> tuple[int, ...]:
        """The tokens that would begin a thought here; no grammar forbids them."""
        return () if self.over else self._track.openers

    def conclude(self) -> None:
        """Has it closed as soon as it can be."""
        self._budget = 0

    def forced(self) -> int | None:
        """Returns the token that is to come next, whatever would be drawn; None where one is to be drawn."""
        if self.over:
            return None
        if not self._forced and self._budget is not None and self._spent >= self._budget:
            self._forced.extend(self._track.way_out())
        self._is_forced = bool(self._forced)
        return self._forced.popleft() if self._forced else None

    def take(self, token: int) -> str:
        """Takes the next token and returns what may be shown of the thought now, often nothing.

        Where it is the answer's first one `over` is set, and what it says is in `first`.
        """
        forced, self._is_forced = self._is_forced, False
        was_open, kind = self._track.hidden, self._track.take(token)
        if kind == "answer" and not forced:
            data = self._piece(token)
            if self._undecided or self._constrained or not self._track.closed:
                self._answer_begins([*self._undecided, data])
                return ""
            if data.strip():
                self._answer_begins([data.lstrip(b"\r\n")])
                return ""
        if kind == "undecided":
            if self._constrained and not forced:  # the grammar has taken it as the answer's
                self._answer_begins([self._piece(token)])
                return ""
            self._undecided.append(self._piece(token))
            return ""
        return self._go_on(token, kind == "thought", forced=forced, was_open=was_open)

    def _go_on(self, token: int, is_thought: bool, *, forced: bool, was_open: bool) -> str:
        """Counts a token that is not the answer's, and returns what may be shown."""
        words, inner = self._words, self._track.inner
        text = self._visible(words.push(token) if is_thought else words.push_bytes(inner) if inner else words.flush())
        self._spent += is_thought and not forced
        self._in_text = (is_thought or bool(inner)) and self._track.hidden
        if not is_thought and not inner and self._shown:
            self._blank = "\n\n"  # between two messages of a thought
        if self._track.rest and not self._constrained:
            self.is_split = True
            self._answer_begins([self._track.rest])
            return text
        self.count += 1 + len(self._undecided)
        self._undecided.clear()
        if was_open and self._track.closed and self._constrained and not forced:
            self._forced.extend(self._form.behind)  # the grammar has no room for what the model would put there
        return text

    def _visible(self, text: str) -> str:
        """Returns a text without the blanks before all of it, and with those behind it held back."""
        text = self._blank + text if self._shown else text.lstrip()
        shown = text.rstrip()
        self._blank = text[len(shown) :]
        if shown:
            self._parts.append(shown)
            self._shown = True
        return shown

    def _answer_begins(self, first: list[bytes]) -> None:
        self.over, self.first = True, first
        self._stop_clock()

    def end(self) -> str:
        """Ends the reply, wherever it stands, and returns what was held back of the thought."""
        if self.over:
            return ""
        if self._undecided:
            self._answer_begins([*self._undecided])
            return ""
        self._stop_clock()
        rest = self._visible(self._words.flush())
        if not self._in_text:
            return rest
        blank, self._blank = self._blank, ""
        self._parts.append(blank)  # it may be continued
        return rest + blank

    def _stop_clock(self) -> None:
        if self.count:
            self.seconds = time.perf_counter() - self._began


def plan_thought(
    request: Request, prompt: Prompt, form: ThoughtForm | None, concluded: Collection[int] = ()
) -> ThoughtPlan | None:
    """Returns how a reply is to be thought about; None where its model does not think, or its text is only completed.

    Args:
        request: what is asked.
        prompt: its prompt.
        form: how the model marks its thoughts.
        concluded: the answers whose thought is to be closed.

    Raises:
        RequestInvalid: the budget cannot be kept.
    """
    if request.think_budget is not None and request.think_budget < 0:
        raise RequestInvalid(f"think_budget {request.think_budget} is out of range", "it must be 0 or more")
    if form is None or request.raw:
        return None
    off = request.think == "off"
    if request.beams and request.think_budget is not None and not off:
        why = "beams are searched and not drawn: nobody can close a thought among them"
        raise RequestInvalid("a budget for thoughts cannot be had with beams", why, "leave out one of them")
    return ThoughtPlan(
        form,
        prompt.ids[prompt.opening : prompt.begun],
        prompt.ids[prompt.begun :],
        open=request.think == "on",
        budget=0 if off else request.think_budget,
        forbidden=form.forbidden if off else (),
        concluded=concluded,
    )


def settled(plan: ThoughtPlan, piece: Callable[[int], bytes]) -> tuple[tuple[int, ...], ThoughtPlan]:
    """Returns the ids that a reply begins with by force, and the plan behind a prompt that has them already.

    For what draws no tokens one by one: a beam search, the scores of texts.
    """
    thought, forced = Thought(plan, piece), list[int]()
    while len(forced) < MOST_FORCED and (token := thought.forced()) is not None:
        thought.take(token)
        forced.append(token)
    ids = tuple(forced)
    prompt, begun = (plan.prompt, plan.begun + ids) if plan.begun else (plan.prompt + ids, plan.begun)
    return ids, replace(plan, prompt=prompt, begun=begun, open=False, budget=None)
