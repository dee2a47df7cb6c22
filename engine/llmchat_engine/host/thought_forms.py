"""How a model marks its thoughts: found once, when it is loaded, in its vocabulary and its chat template.

Knows texts and ids; no reply and no request. A mark is a token of its own wherever the vocabulary has one, and then a
reply is followed by ids alone; only what a model has to spell out is looked for in its text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from llmchat_engine.host.thought_tracks import HarmonyTrack, SpelledTrack, TagTrack, Track
from llmchat_engine.types import Thinking

MARKS = (
    ("<think>", "</think>", "\n"),
    ("[THINK]", "[/THINK]", ""),
    ("<seed:think>", "</seed:think>", ""),
    ("<|START_THINKING|>", "<|END_THINKING|>", ""),
    ("<thought>", "</thought>", "\n"),
    ("◁think▷", "◁/think▷", ""),
)
"""What opens a thought, what closes it, and what models put between a mark and a text."""
THINK = MARKS[0]
"""The only ones that are looked for where the vocabulary does not have them."""
CHANNEL, FINAL = "<|channel|>", "<|channel|>final<|message|>"
HARMONY = ("<|start|>", CHANNEL, "<|message|>", "<|end|>")


class Words(Protocol):
    """What is asked of a vocabulary."""

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Returns the ids of a text."""


class ThoughtForm(Protocol):
    """How one model marks its thoughts."""

    @property
    def opening(self) -> tuple[int, ...]:
        """The ids that begin a thought where nothing else does; none where the model always decides that itself."""

    @property
    def behind(self) -> tuple[int, ...]:
        """The ids that models put between the mark that closes a thought and the answer."""

    @property
    def forbidden(self) -> tuple[int, ...]:
        """The ids that must not be drawn where nothing is to be thought."""

    @property
    def end(self) -> int:
        """An id that ends an answer beside those that end a generation; -1 for none."""

    @property
    def heading(self) -> str:
        """What the template puts before an earlier answer, and a reply with its thought has of its own."""

    def track(self, piece: Callable[[int], bytes]) -> Track:
        """Returns what follows one reply."""

    def variables(self, think: Thinking) -> dict[str, object]:
        """Returns what the template is told."""

    def into_answer(self, own_text: str) -> str:
        """Returns what is missing between a template's own text that opens a reply and an answer; often nothing."""

    def whole(self, ids: tuple[int, ...], count: int) -> tuple[int, ...]:
        """Returns the ids of a reply with its thought, the first `count` of them, as they stand in a later prompt."""

    def has_opened(self, thought: tuple[int, ...]) -> bool:
        """Returns whether what opens a thought is among its ids, and did not stand in the prompt."""


@dataclass(frozen=True, slots=True)
class Tagged:
    """One mark before the thought and one behind it."""

    texts: tuple[str, str]
    marks: tuple[int, int] | None
    """Their ids; None where the model spells them."""
    opening: tuple[int, ...]
    closing: tuple[int, ...]
    behind: tuple[int, ...]
    closing_text: str
    end = -1
    heading = ""

    @property
    def forbidden(self) -> tuple[int, ...]:
        """The mark that opens a thought."""
        return self.marks[:1] if self.marks else ()

    def track(self, piece: Callable[[int], bytes]) -> Track:
        """Returns what follows one reply."""
        if self.marks:
            return TagTrack(self.marks, self.closing, piece)
        before, behind = self.texts
        return SpelledTrack(before.encode(), behind.encode(), self.closing, piece)

    def variables(self, think: Thinking) -> dict[str, object]:
        """Returns the names that templates ask: Qwen's, and DeepSeek's and Granite's."""
        return {} if think == "auto" else dict.fromkeys(("enable_thinking", "thinking"), think == "on")

    def into_answer(self, own_text: str) -> str:
        """Returns the closing mark where a thought is open."""
        before, behind = self.texts
        return self.closing_text if own_text.rfind(before) > own_text.rfind(behind) else ""

    def whole(self, ids: tuple[int, ...], count: int) -> tuple[int, ...]:
        """Returns the ids, with the mark before them that had stood in the prompt."""
        if self.has_opened(ids[:count]) or (self.marks and self.marks[1] not in ids[:count]):
            return ids
        return self.opening + ids

    def has_opened(self, thought: tuple[int, ...]) -> bool:
        """Returns whether the mark is among the ids of a thought."""
        return self.marks[0] in thought if self.marks else thought[:1] == self.opening[:1]


@dataclass(frozen=True, slots=True)
class Harmony:
    """Messages on channels: what is no answer is a thought."""

    start: int
    channel: int
    message: int
    end: int
    final: tuple[int, ...]
    """The header of an answer behind a role."""
    turn: tuple[int, ...]
    """The role of a new message behind `start`, that included."""
    opening = behind = forbidden = ()
    heading = FINAL

    def track(self, piece: Callable[[int], bytes]) -> Track:
        """Returns what follows one reply."""
        marks = (self.start, self.channel, self.message, self.end)
        return HarmonyTrack(marks, self.final, self.turn, piece)

    def variables(self, think: Thinking) -> dict[str, object]:
        """Returns the names that templates ask; without a thought little of one is the least that can be asked for."""
        if think == "auto":
            return {}
        told: dict[str, object] = dict.fromkeys(("enable_thinking", "thinking"), think == "on")
        return told if think == "on" else told | {"reasoning_effort": "low"}

    def into_answer(self, own_text: str) -> str:
        """Returns the header of an answer where the template leaves it to the model."""
        return FINAL if own_text.rfind(HARMONY[0]) > max(map(own_text.rfind, HARMONY[1:])) else ""

    def whole(self, ids: tuple[int, ...], count: int) -> tuple[int, ...]:
        """Returns the ids, with the header of an answer before what had none."""
        return ids if self.has_opened(ids[:count]) else self.final + ids

    def has_opened(self, thought: tuple[int, ...]) -> bool:
        """Returns whether a header is among the ids of a thought."""
        return self.channel in thought


def thought_form(template: str | None, vocab: Words) -> ThoughtForm | None:
    """Returns how a model marks its thoughts; None for one that does not think.

    Args:
        template: the chat template in the model's file. A vocabulary alone says little: models that were never taught
            to think share theirs with those that were.
        vocab: the model's vocabulary.
    """
    if not template:
        return None
    if CHANNEL in template and (form := _harmony(vocab)):
        return form
    for before, behind, blank in MARKS:
        if before in template or behind in template:
            marks = _single(before, vocab), _single(behind, vocab)
            if min(marks) >= 0:
                return _tagged((before, behind), marks, blank, vocab)
    return _tagged(THINK[:2], None, THINK[2], vocab) if THINK[0] in template else None


def _harmony(vocab: Words) -> Harmony | None:
    start, channel, message, end = (_single(text, vocab) for text in HARMONY)
    if min(start, channel, message, end) < 0:
        return None
    final = tuple(vocab.tokenize(FINAL, special=True))
    return Harmony(start, channel, message, end, final, tuple(vocab.tokenize("<|start|>assistant", special=True)))


def _tagged(texts: tuple[str, str], marks: tuple[int, int] | None, blank: str, vocab: Words) -> Tagged:
    def ids(text: str) -> tuple[int, ...]:
        return tuple(vocab.tokenize(text, special=True)) if text else ()

    before, behind = texts
    closing = f"{blank}{behind}{2 * blank}"
    return Tagged(texts, marks, ids(before + blank), ids(closing), ids(2 * blank), closing)


def _single(text: str, vocab: Words) -> int:
    """Returns the id of the one token that a text is; -1 where it is several."""
    ids = vocab.tokenize(text, special=True)
    return ids[0] if len(ids) == 1 else -1
