"""The flags of one `llmchat ask` as a value, and which of them exclude each other. Reads no file, starts no engine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmchat_tui.cli.prompting_options import PromptingFlags
from llmchat_tui.errors import UsageError

if TYPE_CHECKING:
    from llmchat_tui.templates.values import Template


_LONGEST_TIMEOUT = 1_000_000
"""Seconds; a timer of Python fails above some 9e9."""
_DRAWN = "it is about what is drawn, token by token"
_REASONED = {
    "documents": "from documents there is one answer, without a chain of thought",
    "--answers": "a chain of thought leads to one answer",
    "--beams": _DRAWN,
    "--prefill": "the answer comes behind the reasoning",
}
"""What a chain of thought, or a vote of several, cannot be had with."""
_FORMED = {
    "--beams": _DRAWN,
    "--prefill": "the form is that of the whole answer",
}
"""What a schema or a grammar cannot be had with."""
_TOLD = {
    "--answers": "probabilities are told of one answer",
    "--beams": _DRAWN,
    "--votes": "probabilities are told of one answer",
}
"""What probabilities of the tokens cannot be had with."""


@dataclass(frozen=True, slots=True)
class AskFlags:
    """The flags of one `ask` that are neither about sampling nor about how the model is loaded."""

    prompt: tuple[str, ...]
    model: str
    system: str | None
    system_file: Path | None
    resume: bool
    conversation: str
    files: tuple[str, ...]
    docs: bool
    collections: tuple[str, ...]
    docs_k: int | None
    alpha: float | None
    fusion: Any
    min_score: float | None
    rerank: bool | None
    cite: bool | None
    sources: bool
    explain: bool
    prefill: str
    overflow: Any
    no_kv_cache: bool
    extract: bool
    extract_last: bool
    no_log: bool
    usage: bool
    verbose: bool
    quiet: bool
    raw: bool
    markdown: bool | None
    no_stream: bool
    as_json: bool
    dry_run: bool
    answers: int
    beams: int | None
    length_penalty: float | None
    prompting: PromptingFlags
    timeout: float
    keepalive: str
    color: Any

    def check(self) -> None:
        """Raises where flags exclude each other; what depends on a template or a chat too, `check_together` knows.

        Raises:
            UsageError: naming them.
        """
        if self.system is not None and self.system_file:
            raise UsageError("--system and --system-file exclude each other")
        if self.resume and self.conversation:
            raise UsageError("--continue and --conversation exclude each other")
        if self.as_json and (self.extract or self.extract_last):
            raise UsageError("--json and --extract exclude each other")
        if self.as_json and self.dry_run:
            raise UsageError("--json and --dry-run exclude each other", "what is printed is the prompt as it is")
        self._check_answers()
        self.prompting.check()
        if not self.asks_documents and (flag := self._documents_flag()):
            raise UsageError(f"{flag} is about documents", "none are asked", f"add --docs, or -d NAME, to {flag}")
        if not self.timeout <= _LONGEST_TIMEOUT:  # not a number is refused too
            raise UsageError(f"--timeout {self.timeout:g} is too long", f"{_LONGEST_TIMEOUT:,} s is the most")

    def _check_answers(self) -> None:
        several = self.answers > 1
        if several and self.asks_documents:
            raise UsageError("--answers and documents exclude each other", "from documents there is one answer")
        if several and self.beams:
            raise UsageError("--answers and --beams exclude each other", "beams lead to one answer, the likeliest")
        if several and (self.extract or self.extract_last):
            raise UsageError("--answers and --extract exclude each other", "", "--json has every answer")
        if self.length_penalty is not None and not self.beams:
            raise UsageError("--length-penalty is about beams", "there are none", "add --beams 4")
        if self.cite and self.beams:
            raise UsageError("--cite and --beams exclude each other", "the form of an answer is about what is drawn")

    @property
    def asks_documents(self) -> bool:
        """Whether the answer comes from documents."""
        return self.docs or bool(self.collections)

    @property
    def shows_thoughts(self) -> bool:
        """Whether thoughts go to stderr as they come: --chains tells them with all others, --json has them."""
        return not (self.prompting.hide_reasoning or self.prompting.chains or self.as_json)

    def over(self, template: Template | None) -> AskFlags:
        """Returns the flags with what a template says of documents where they say nothing."""
        if template is None or not (self.asks_documents or template.collections):
            return self
        cites = template.cite if self.cite is None and not self.beams else self.cite
        return replace(
            self,
            collections=self.collections if self.asks_documents else template.collections,
            docs_k=template.docs_k if self.docs_k is None else self.docs_k,
            cite=cites,
        )

    def check_together(self, asked: Template) -> None:
        """Raises where flags exclude how it is asked, which a template or the chat may say too.

        Raises:
            UsageError: naming both.
        """
        reasons = "--votes" if asked.votes else "--cot" if asked.cot != "off" else ""
        form = self.prompting.form_flag() or ("--schema" if asked.schema else "--grammar" if asked.grammar else "")
        told = "--logprobs" if self.prompting.told_logprobs is not None else ""
        given = {
            "documents": self.asks_documents,
            "--answers": self.answers > 1,
            "--beams": self.beams,
            "--prefill": self.prefill,
            "--votes": asked.votes,
            form: form,
        }
        cite = "--cite" if self.cite else ""
        cited = {form: "an answer follows one form"}
        for one, others in ((reasons, _REASONED), (cite, cited), (form, _FORMED), (told, _TOLD)):
            for other, why in others.items():
                if one and given[other]:
                    raise UsageError(f"{one} and {other} exclude each other", why, self._way_out(asked, one, other))
        if self.prompting.chains and not asked.votes:
            raise UsageError("--chains is about votes", "there are none", "add --votes 8")

    def _way_out(self, asked: Template, *excluding: str) -> str:
        """Returns what takes back the first of two flags that nobody typed; empty where both were."""
        typed = self.prompting
        zero = " ".join((["--votes 0"] if asked.votes else []) + (["--cot off"] if asked.cot != "off" else []))
        text = "" if typed.form_flag() else "--format text"
        ways = {
            "--votes": "" if typed.votes else zero,
            "--cot": "" if typed.cot or typed.votes else zero,
            "--cite": "--no-cite" if asked.cite else "",
            "--schema": text,
            "--grammar": text,
        }
        return next(filter(None, (ways.get(flag) for flag in excluding)), "")

    def _documents_flag(self) -> str:
        """Returns the first flag that means nothing without documents; empty where there is none."""
        given = {
            "--docs-k": self.docs_k,
            "--alpha": self.alpha,
            "--fusion": self.fusion,
            "--min-score": self.min_score,
            "--rerank": self.rerank,
            "--cite": self.cite,
            "--sources": self.sources or None,
            "--explain": self.explain or None,
        }
        return next((flag for flag, value in given.items() if value is not None), "")
