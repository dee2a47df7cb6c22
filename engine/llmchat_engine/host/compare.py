"""Measures one model, as a throw-away process: its answers and speed, how likely a text is, how far it is from another.

What is to be done comes as a `MeasureTask`; what is told is in models/quantizing/tasks.py. Models are compared by
several of these processes, one after the other: the first keeps the log-probabilities of all tokens at each place in a
file, the others read them. So one model is in memory at a time, and what it takes can be told. Knows no terminal.
"""

from __future__ import annotations

import resource
import sys
import time
from contextlib import closing

import msgspec

from llmchat_engine import sampling
from llmchat_engine.errors import EngineError, GenerationFailed, ModelUnreadable
from llmchat_engine.events import Finished
from llmchat_engine.host.decode import Manner
from llmchat_engine.host.llama import Llama
from llmchat_engine.host.model import Model
from llmchat_engine.host.pipe import Pipe
from llmchat_engine.host.probe import repacks
from llmchat_engine.host.residents import Residents, settle
from llmchat_engine.host.text_measure import read_text, vocabulary_key
from llmchat_engine.host.wants import want_of
from llmchat_engine.models.quantizing.tasks import Answered, Failed, Measured, MeasureTask, Step, Told
from llmchat_engine.protocol import to_failure
from llmchat_engine.types import Message, Request, Sampling

_TICK = 0.1


class Measurer:
    """Does one task."""

    def __init__(self, task: MeasureTask, pipe: Pipe) -> None:
        """Loads the library."""
        self._task, self._pipe = task, pipe
        self._llama = Llama(_log)
        self._last = 0.0

    def measure(self) -> Measured:
        """Returns what was measured.

        Raises:
            EngineError: the model cannot be used, or the text is too short for it.
        """
        task, began = self._task, time.perf_counter()
        self._tell(Step("loading", 0, 0))
        repack = repacks(self._llama.system_info(), task.load)
        model = Model(self._llama, task.load.path, gpu_layers=task.load.gpu_layers, extra_buffers=repack)
        if not model.can_decode:
            raise ModelUnreadable(f"{task.load.path} cannot write text", "it is an encoder", "choose another")
        loaded = time.perf_counter() - began
        decode = self._answer_all(model, repack) if task.prompts else 0.0
        answered = _peak_memory()
        reading = read_text(self._llama, model, task, self._reading) if task.text else None
        return Measured(
            vocab_key=vocabulary_key(model.vocab),
            n_vocab=model.vocab.size,
            n_ctx=task.load.n_ctx,
            n_params=model.n_params,
            quantization=model.quantization,
            peak_memory=answered if task.prompts else _peak_memory(),
            load_seconds=loaded,
            decode=decode,
            text=reading.facts if reading else None,
            divergence=reading.divergence if reading else None,
            why_no_divergence=reading.why_no_divergence if reading else "",
        )

    def _answer_all(self, model: Model, repack: bool) -> float:
        """Tells the answers to all prompts; returns the tokens a second that were written."""
        residents = settle(self._llama, model, self._task.load, repack, _log)
        tokens, seconds = 0, 0.0
        with closing(residents.context):
            for number, prompt in enumerate(self._task.prompts):
                self._tell(Step("answering", number, len(self._task.prompts)))
                end = self._answer(residents, prompt)
                tokens, seconds = tokens + max(0, end.reply_tokens - 1), seconds + end.decode_seconds
                whole = end.reason not in ("max_tokens", "context")
                self._tell(Answered(end.text, end.reply_tokens, whole))
        return tokens / seconds if seconds > 0 else 0.0

    def _answer(self, residents: Residents, text: str) -> Finished:
        """Returns the answer to one prompt, always the likeliest token next."""
        wanted = Sampling(temperature=0.0, max_tokens=self._task.max_tokens, seed=0)
        request = Request((Message("user", text),), wanted, private=True, think="off")
        prompt, thought = residents.begin(request, drawn=True)
        resolved = sampling.resolve(request.sampling, residents.info.sampling)
        want = want_of(request, resolved, prompt)
        with closing(residents.decoder.generate(prompt.ids, Manner(resolved, thought=thought), want)) as events:
            for event in events:
                if isinstance(event, Finished):
                    residents.cache.discard()
                    return event
        raise GenerationFailed("the model did not finish its answer", "its last event is missing")

    def _reading(self, done: int, total: int, rate: float) -> None:
        if (now := time.perf_counter()) - self._last > _TICK:
            self._last = now
            self._tell(Step("reading", done, total, rate))

    def _tell(self, told: Told) -> None:
        self._pipe.tell(msgspec.json.encode(told))


def _peak_memory() -> int:
    """Returns the most bytes that this process had in memory, pages of the model's file too."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Does what stdin says; never returns."""
    pipe = Pipe()
    task = msgspec.json.decode(pipe.task(), type=MeasureTask)
    told: Told
    try:
        told = Measurer(task, pipe).measure()
    except EngineError as error:
        told = Failed(to_failure(error))
    pipe.tell(msgspec.json.encode(told))
    pipe.leave()


if __name__ == "__main__":
    main()
