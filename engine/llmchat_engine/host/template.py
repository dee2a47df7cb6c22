"""The model's own chat template: messages in, the pieces of a prompt out.

Knows Jinja only through the sandbox; knows no tokeniser and no llama.cpp. A template comes out of a model file, so it
is data from a stranger: it runs bounded, and whatever goes wrong in it leaves as `TemplateError`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import jinja2

from llmchat_engine.errors import TemplateError
from llmchat_engine.host.template_forms import Form, forms
from llmchat_engine.host.template_limits import Limits, TimeUp, bounded
from llmchat_engine.host.template_pieces import Piece, Replies, hide, left_out, split, without_thoughts
from llmchat_engine.host.template_sandbox import Refused, Sandbox
from llmchat_engine.types import Message, Thinking

if TYPE_CHECKING:
    from llmchat_engine.host.thought_forms import ThoughtForm

__all__ = ["ChatTemplate", "Limits", "Piece", "RenderedPrompt"]

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
NO_TEMPLATE = "this model has no chat template; ChatML is used instead. With --raw it completes text"
UNCLEAR_TEMPLATE = (
    "this model's chat template changes messages in a way that cannot be followed; ChatML is used instead. "
    "With --raw the model completes text"
)
RAW_HINT = 'llmchat ask --raw "…" completes text without a template'
DEFAULT_LIMITS = Limits()
MESSAGE_OVERHEAD = 32
"""What a message counts on top of its text: the weight of its role and of its keys in the sandbox."""
WHY_CHARACTERS = 200

_BROKEN = (
    jinja2.TemplateError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    NameError,
    OSError,
    RuntimeError,
    StopIteration,
    SyntaxError,
    TypeError,
    ValueError,
)
"""What Python code written by a stranger raises; Jinja compiles a template to Python."""
_Told = Mapping[str, object]
"""What a template may ask beside the messages."""


@dataclass(frozen=True, slots=True)
class RenderedPrompt:
    """A prompt, in pieces; their texts together are `text`."""

    pieces: tuple[Piece, ...]
    text: str
    origins: tuple[tuple[int, ...], ...] = ()
    """For each message that a piece names, the caller's messages that it holds, by index."""
    notice: str = ""
    """What was replaced, for the user; empty where nothing was."""


class ChatTemplate:
    """A chat template that is compiled at its first rendering and then kept.

    Attributes:
        kind: whose template it is.
        key: identity of its source, 16 hex digits.
        thoughts: how the model marks its thoughts.
    """

    def __init__(
        self,
        source: str | None,
        *,
        bos: str,
        eos: str,
        model_key: str,
        limits: Limits = DEFAULT_LIMITS,
        thoughts: ThoughtForm | None = None,
    ) -> None:
        """Takes a template without running it, so that a broken one does not keep its model from loading.

        Args:
            source: the Jinja text in the model file; None or a blank one stands for ChatML.
            bos: text of the model's first token, for templates that write it.
            eos: text of its last token.
            model_key: the model whose token ids may be used.
            limits: how far the template may go.
            thoughts: how the model marks its thoughts; None for one that does not think.
        """
        own = source if source and source.strip() else None
        self.kind: Literal["model", "chatml"] = "model" if own else "chatml"
        self._source = own or CHATML
        self.key = sha256(self._source.encode("utf-8", "replace")).hexdigest()[:16]
        self._specials = {"bos_token": bos, "eos_token": eos}
        self._model_key, self._limits, self.thoughts = model_key, limits, thoughts
        self._sandbox = Sandbox(limits.output)
        self._compiled: jinja2.Template | None = None

    def render(
        self,
        messages: Sequence[Message],
        *,
        end_texts: Mapping[int, str] = MappingProxyType({}),
        now: float | None = None,
        think: Thinking = "auto",
        keep_thoughts: bool = False,
    ) -> RenderedPrompt:
        """Returns the prompt that asks the model for its next reply.

        Args:
            messages: the path from the system prompt to the newest question.
            end_texts: end-of-generation ids and their texts. A template writes the end of a reply itself, so such an id
                at the end of a reply is left to it.
            now: Unix time for templates that print the date; the same time gives the same prompt again.
            think: whether a model that thinks is to.
            keep_thoughts: whether earlier replies keep their thoughts.

        Raises:
            TemplateError: the template is broken, refuses the messages, or ran past its limits.
        """
        moment = datetime.fromtimestamp(time.time() if now is None else now)
        told = {"strftime_now": moment.strftime, **(self.thoughts.variables(think) if self.thoughts else {})}
        replies = Replies(self._model_key, end_texts, self.thoughts, keep_thoughts)
        with _strangers_code(self._limits), bounded(self._limits):
            prompt = self._first_accepted(messages, told, replies)
        if prompt is not None:
            notice = prompt.notice or (NO_TEMPLATE if self.kind == "chatml" else "")
            return replace(prompt, notice=notice)
        spare = ChatTemplate(None, bos="", eos="", model_key=self._model_key, limits=self._limits)
        return replace(spare.render(messages, end_texts=end_texts, now=now), notice=UNCLEAR_TEMPLATE)

    def own_ids(self, message: Message, end_texts: Mapping[int, str]) -> tuple[int, ...]:
        """Returns all ids of a reply of this model but for the end of generation; none of another model's."""
        return Replies(self._model_key, end_texts).whole(message)

    def _first_accepted(self, messages: Sequence[Message], told: _Told, replies: Replies) -> RenderedPrompt | None:
        """Returns the prompt of the messages as the template takes them, or None where it cannot be split."""
        refusal: Refused | None = None
        for form in forms(messages):
            try:
                prompt = self._split(form, told, replies)
                answers = replace(form, messages=tuple(without_thoughts(form.messages)))
                if prompt is None and answers != form:
                    prompt = self._split(answers, told, replies)
                return prompt
            except Refused as error:
                refusal = refusal or error
        if refusal is not None:
            raise refusal
        return None

    def _split(self, form: Form, told: _Told, replies: Replies) -> RenderedPrompt | None:
        plain = self._run(form.messages, told)
        hidden, stands_for = hide(form.messages, self._source)
        skeleton = self._run(hidden, told)
        missing = left_out(skeleton, stands_for)
        if missing and all(message.role == "system" for message in missing):
            raise Refused("it leaves the system prompt out")
        pieces = None if missing else split(skeleton, plain, stands_for, replies)
        return None if pieces is None else RenderedPrompt(pieces, plain, form.origins, form.notice)

    def _run(self, messages: Sequence[Message], told: _Told) -> str:
        size = sum(len(message.text) + MESSAGE_OVERHEAD for message in messages)
        self._sandbox.room = self._limits.room(size)
        return self._template().render(
            messages=[{"role": message.role, "content": message.text} for message in messages],
            add_generation_prompt=True,
            tools=None,
            documents=None,
            **self._specials,
            **told,
        )

    def _template(self) -> jinja2.Template:
        if self._compiled is None:
            size = len(self._source.encode("utf-8", "replace"))
            if size > self._limits.source:
                raise ValueError(f"it has {size:,} bytes, at most {self._limits.source:,} are run")
            self._compiled = self._sandbox.from_string(self._source)
        return self._compiled


@contextmanager
def _strangers_code(limits: Limits) -> Iterator[None]:
    """Turns whatever a template raises into a `TemplateError`."""
    what = "the model's chat template cannot be used"
    try:
        yield
    except TimeUp:
        raise TemplateError(what, f"it ran for more than {limits.seconds:g} s", RAW_HINT) from None
    except MemoryError:
        raise TemplateError(what, "it needs too much memory", RAW_HINT) from None
    except RecursionError:
        raise TemplateError(what, "it is nested too deeply", RAW_HINT) from None
    except Refused as error:
        raise TemplateError("the model's chat template refuses these messages", _why(error), RAW_HINT) from None
    except _BROKEN as error:
        raise TemplateError(what, _why(error), RAW_HINT) from None


def _why(error: BaseException) -> str:
    """Returns one short line; the text may be the template's own."""
    text = " ".join(str(error).split()) or type(error).__name__
    line = f" (line {error.lineno})" if isinstance(error, jinja2.TemplateSyntaxError) else ""
    return text[:WHY_CHARACTERS] + line
