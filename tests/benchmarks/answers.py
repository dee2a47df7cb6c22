"""Eight answers beside one, eight votes, what probabilities cost, whether a neighbour in the batch changes a token.

`make bench` runs it behind the rest; `python -m tests.benchmarks.answers` alone. Knows the engine's door and one host.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace

from tests.benchmarks.targets import Target

from llmchat_engine import Engine, Event, Finished, Message, ModelSpec, Request, Sampling
from llmchat_engine.prompting.vote import vote
from llmchat_tui.cli.app import App
from llmchat_tui.cli.bench_host import engine_in, resident, short_directory

MODEL = "SmolLM2-135M-Instruct"
N_CTX = 4096
ANSWERS, TOKENS = 8, 200
_QUESTION = "Write about the sea. " * 20
_END = "#2=-inf"
"""SmolLM2's end-of-generation token, forbidden: each answer has all its tokens."""


def main(arguments: list[str]) -> int:
    """Measures and prints; returns 1 where a target was missed and that matters."""
    options = _parser().parse_args(arguments)
    app = App()
    spec = app.spec(MODEL, ctx=N_CTX, gpu_layers=0, threads=options.threads)
    assert isinstance(spec, ModelSpec)
    with short_directory() as home, engine_in(home, spec, home) as engine:
        targets = _times(engine, options.rounds)
        print(f"{'memory of the engine, eight answers in it':<44}{resident(home) / 2**20:8.0f} MiB")
        _sameness(engine)
    for target in targets:
        told = "met" if target.met else "MISSED"
        print(f"{told:7} {target.name}: {target.value:.4g} {target.unit} ({target.sign} {target.limit:g})")
    return 1 if options.strict and not all(target.met for target in targets) else 0


def _times(engine: Engine, rounds: int) -> list[Target]:
    """Measures each in turn; the first round warms up and does not count."""
    one, many, told, chains, votes, waits = [], [], [], [], [], []
    for seed in range(rounds + 1):
        one.append(_ask(engine, seed).decode_seconds)
        many.append(_ask(engine, seed, answers=ANSWERS).decode_seconds)
        told.append(_ask(engine, seed, logprobs=10).decode_seconds)
        began = time.perf_counter()
        drawn, whole = _vote(engine, seed)
        chains.append(drawn.decode_seconds)
        votes.append(whole.decode_seconds)
        waits.append(time.perf_counter() - began)
        every = (one, many, told, chains, votes, waits)
        latest = ", ".join(f"{times[-1]:.2f} s" for times in every)
        print(f"round {seed} of {rounds}: {latest}", file=sys.stderr)
    alone, eight, logprobs, drew, voted, waited = (statistics.median(times[1:]) for times in every)
    print(f"{'one answer of 200 tokens, decode':<44}{alone:8.2f} s")
    print(f"{'eight of them, decode':<44}{eight:8.2f} s")
    print(f"{'eight chains that vote, none stopped, decode':<44}{drew:8.2f} s")
    print(f"{'with an answer taken from each, decode':<44}{voted:8.2f} s")
    print(f"{'the same from the question to the outcome':<44}{waited:8.2f} s")
    return [
        Target("eight answers, of one's decode time", eight / alone, "<=", 4.0, "x"),
        Target("eight votes, of one chain's decode time", drew / alone, "<=", 4.0, "x"),
        Target("probabilities of 49,152 tokens, ten told", 1000 * (logprobs - alone) / TOKENS, "<", 1.5, "ms/token"),
    ]


def _sameness(engine: Engine) -> None:
    """Prints where answers of a batch part from those of the same seeds alone."""
    batch = _ask(engine, 0, answers=ANSWERS).answers
    places = []
    for index, answer in enumerate(batch):
        alone = _ask(engine, index).token_ids
        same = (at for at, (one, other) in enumerate(zip(answer.token_ids, alone, strict=True)) if one != other)
        places.append(next(same, None))
    told = ", ".join("never" if place is None else f"{place}" for place in places)
    print(f"{'parts from the same seed alone at token':<44} {told}")


def _ask(engine: Engine, seed: int, answers: int = 1, logprobs: int | None = None) -> Finished:
    sampling = Sampling(temperature=0.8, seed=seed, max_tokens=TOKENS, logit_bias=(_END,))
    request = Request((Message("user", _QUESTION),), sampling, private=True)
    *_, last = engine.generate(replace(request, answers=answers, logprobs=logprobs))
    assert isinstance(last, Finished)
    return last


def _vote(engine: Engine, seed: int) -> tuple[Finished, Finished]:
    """Returns the ends of the chains and of all of the slowest vote: none has an answer, and each is asked for one."""
    sampling = Sampling(temperature=0.8, seed=seed, max_tokens=TOKENS)
    request = Request((Message("user", _QUESTION),), sampling, chat=f"votes {seed}")
    endless = _Endless(engine)
    *_, last = vote(endless, request, ANSWERS, stops_early=False)  # type: ignore[arg-type]
    engine.forget(request.chat)
    assert isinstance(last, Finished)
    return endless.ends[0], last


class _Endless:
    """What a vote needs of an engine; chains do not end by themselves, their answers may."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.tokenize = engine, engine.tokenize
        self.ends: list[Finished] = []
        """How the chains ended, then each answer."""

    def generate(self, request: Request) -> Generator[Event, None, None]:
        """Yields the events of the chains, or of an answer."""
        if request.answers > 1:
            request = replace(request, sampling=replace(request.sampling, logit_bias=(_END,)))
        with closing(self._engine.generate(request)) as events:
            for event in events:
                if isinstance(event, Finished):
                    self.ends.append(event)
                yield event


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.answers", description="Measure several answers.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0, help="0 takes what llmchat takes by itself")
    parser.add_argument("--strict", action="store_true", help="exit 1 where a target is missed")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
