"""What the context holds, as numbers and as a bar. Pure functions; knows no screen and no engine process."""

from __future__ import annotations

from dataclasses import dataclass

from llmchat_engine.events import Measured

AMBER_FROM = 0.8
_EIGHTHS = "▏▎▍▌▋▊▉█"


@dataclass(frozen=True, slots=True)
class Gauge:
    """The parts of the context, in tokens. They add up to the prompt that would be read now."""

    system: int
    history: int
    draft: int
    n_ctx: int
    documents: int = 0
    """What the turn that runs was given of documents; they leave with it."""
    shots: int = 0
    """The worked examples behind the system prompt."""
    exact: bool = True
    """False where the counts are an estimate: a server's, of another machine mostly."""

    @property
    def used(self) -> int:
        """The prompt's length."""
        return self.system + self.shots + self.history + self.documents + self.draft

    @property
    def free(self) -> int:
        """What is left for the reply; negative where the prompt does not fit. Without meaning where `n_ctx` is 0."""
        return self.n_ctx - self.used

    @property
    def level(self) -> str:
        """`ok`, `amber` from 80 % on, or `red` where the prompt leaves no room for a reply.

        Where a server does not tell its context, nothing is known of room.
        """
        if not self.n_ctx:
            return "ok"
        if self.free <= 0:
            return "red"
        return "amber" if self.used >= AMBER_FROM * self.n_ctx else "ok"

    @property
    def rest(self) -> str:
        """What is left, in words; what is taken where nobody knows how much there is room for."""
        about = "" if self.exact else "about "
        if not self.n_ctx:
            return f"{about}{self.used:,} tokens"
        return f"{about}{self.free:,} free" if self.free >= 0 else f"{about}{-self.free:,} too many"

    def segments(self) -> list[tuple[str, int]]:
        """Returns the parts that are not empty, in the order of the prompt."""
        parts = (
            ("system", self.system),
            ("shots", self.shots),
            ("history", self.history),
            ("docs", self.documents),
            ("draft", self.draft),
        )
        return [(name, count) for name, count in parts if count]


def gauge_of(measured: Measured, *, has_system: bool, has_draft: bool, documents: int = 0, shots: int = 0) -> Gauge:
    """Returns the gauge of a measured prompt.

    Args:
        measured: the counts, one per message.
        has_system: whether the first message is a system prompt.
        has_draft: whether the last message is the draft; what opens the reply then counts as draft, else as history.
        documents: what stands of documents in the prompt, which the measured messages are without.
        shots: so many messages behind the system prompt are worked examples.
    """
    messages = list(measured.messages)
    system = measured.before + (messages.pop(0) if has_system and messages else 0)
    draft = messages.pop() + measured.after if has_draft and messages else 0
    examples, history = sum(messages[:shots]), sum(messages[shots:]) + (0 if draft else measured.after)
    return Gauge(system, history, draft, measured.n_ctx, documents, examples, measured.exact)


def bar(share: float, width: int) -> str:
    """Returns a bar of `width` characters, `share` of it filled, exact to an eighth of a character."""
    eighths = round(min(1.0, max(0.0, share)) * width * 8)
    whole, rest = divmod(eighths, 8)
    filled = "█" * whole + (_EIGHTHS[rest - 1] if rest else "")
    return filled + "░" * (width - len(filled))
