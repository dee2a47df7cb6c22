"""The benchmark beside other programs: everything in one run, turn by turn, and the targets it has to meet.

`python -m tests.benchmarks.run [--rounds 5] [--strict]`. In each round ours and the peer take turns, and who goes first
changes, so that whatever else the machine does meets both. Knows the order; each measurement is another file's.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from tests.benchmarks.chat_memory import growth_of_turns
from tests.benchmarks.chat_screen import first_paint, key_to_paint, p95
from tests.benchmarks.children import QUESTIONS, Asker, asking, clean_environ
from tests.benchmarks.cold import LlmCommand
from tests.benchmarks.page import save
from tests.benchmarks.peers import LlamaPeer, PeerOptions, llama_peer
from tests.benchmarks.rates import STORY, Reply, find_seed, measure, prompt_of
from tests.benchmarks.reuse import Place, compare_chats, write_scripts
from tests.benchmarks.targets import (
    COLD,
    DECODE,
    HELP,
    KEYS,
    LLAMA,
    LLM,
    LONG_PROMPT,
    OUTSIDE,
    PAINT,
    PREFILL,
    REPLIES,
    TURNS,
    WARM,
    Comparison,
    of_peer,
    target_lines,
    targets,
)

from llmchat_engine import ModelSpec
from llmchat_engine.client import LocalEngine
from llmchat_engine.models.fit.cpu import cpu_threads, usable_cores
from llmchat_tui.cli.app import App
from llmchat_tui.cli.bench_host import load, private_engine, short_directory
from llmchat_tui.cli.bench_report import Report, Samples, bench_model, now, table, this_machine, versions_of

N_CTX = 4096
MODEL = "SmolLM2"
SPINCOUNT = "2000"
_Side = TypeVar("_Side")
_Ask = Callable[[str, int, int], Reply]


def main(arguments: list[str]) -> int:
    """Measures, prints, keeps the result; returns 1 where a target was missed and that matters."""
    options = _parser().parse_args(arguments)
    result = compare(options.rounds, options.threads, options.spincount)
    print("\n".join([*table(result.report.rows), "", *target_lines(result.targets)]))
    if options.save:
        print(f"\nkept in {os.path.relpath(save(result))}")
    missed = any(not target.met for target in result.targets)
    return 1 if missed and options.strict else 0


def compare(rounds: int, threads: int, spincount: str) -> Comparison:
    """Runs all rounds.

    Args:
        rounds: How often each thing is measured.
        threads: CPU threads for both; 0 takes what llmchat takes by itself.
        spincount: GOMP_SPINCOUNT for both.
    """
    os.environ["GOMP_SPINCOUNT"] = spincount
    app, samples, machine = App(), Samples(), this_machine()
    spec = app.spec(MODEL, ctx=N_CTX, gpu_layers=0, threads=threads)
    assert isinstance(spec, ModelSpec)
    options = _peer_options(spec, threads)
    with short_directory() as home:
        with private_engine(spec, home) as engine, llama_peer(options, clean_environ(home, os.environ)) as peer:
            info, scripts = load(engine), write_scripts(engine, N_CTX, rounds)
            _rates(engine, peer, samples, rounds)
        place = Place(spec, home, options, clean_environ(home, os.environ), peer.python)
        promised = compare_chats(place, scripts, samples, _tell)
    with short_directory() as home, asking(home, (), os.environ) as asker:
        _first_bytes(asker, LlmCommand(home / "llm", os.environ), samples, rounds)
    _chat(samples, rounds)
    rows = samples.rows()
    versions = {**versions_of(info), "llama-cpp-python": peer.version}
    report = Report(machine, now(), versions, bench_model(info), rows, promised)
    settings = {"GOMP_SPINCOUNT": spincount, "flash attention": "off", "batch": "512"}
    return Comparison(report, settings, tuple(targets({row.name: row.median for row in rows}, promised)))


def _rates(engine: LocalEngine, peer: LlamaPeer, samples: Samples, rounds: int) -> None:
    """Measures prefill and decode of both."""
    _tell("warming up")
    sides: tuple[tuple[str, _Ask], ...] = (("", partial(measure, engine)), (LLAMA, peer.measure))
    seeds = {
        "": {tokens: find_seed(engine, STORY, tokens) for tokens in REPLIES},
        LLAMA: {tokens: peer.find_seed(tokens) for tokens in REPLIES},
    }
    for number in range(rounds):
        _tell(f"prefill and decode, round {number + 1} of {rounds}")
        question = prompt_of(engine, LONG_PROMPT, number)
        for side, ask in _in_turn(number, sides):
            _add_prefill(samples, ask(question, 1, 1), side)
        for tokens in REPLIES:
            for side, ask in _in_turn(number, sides):
                _add_decode(samples, ask(STORY, tokens, seeds[side][tokens]), side, tokens)


def _first_bytes(asker: Asker, llm: LlmCommand, samples: Samples, rounds: int) -> None:
    """Measures the commands."""
    sides = ((COLD, asker.cold), (of_peer(COLD, LLM), llm.first_byte))
    for number in range(rounds):
        _tell(f"first answers, round {number + 1} of {rounds}")
        question = QUESTIONS[number % len(QUESTIONS)]
        for name, ask in _in_turn(number, sides):
            samples.add(name, "s", ask(question))
        samples.add(WARM, "s", asker.warm(question))
        samples.add(HELP, "ms CPU", asker.help_cpu())


def _chat(samples: Samples, rounds: int) -> None:
    """Measures the screen: keys while a reply streams, the first paint, and memory, which takes two minutes, once."""
    for number in range(rounds):
        _tell(f"the chat, round {number + 1} of {rounds}")
        samples.add(KEYS, "ms", 1000 * p95(key_to_paint(seed=number)))
        samples.add(PAINT, "s", first_paint())
    _tell("the chat, 1,000 turns")
    samples.add(TURNS, "MiB", growth_of_turns())


def _add_prefill(samples: Samples, reply: Reply, peer: str) -> None:
    samples.add(_named(PREFILL.format(LONG_PROMPT), peer), "tokens/s", reply.prefill_rate)


def _add_decode(samples: Samples, reply: Reply, peer: str, tokens: int) -> None:
    note = "" if reply.complete else f"the model stopped after {reply.tokens:,} tokens"
    samples.add(_named(DECODE.format(tokens), peer), "tokens/s", reply.decode_rate, note)
    if not peer:
        samples.add(OUTSIDE.format(tokens), "ms/token", reply.overhead_ms, note)


def _named(row: str, peer: str) -> str:
    return of_peer(row, peer) if peer else row


def _in_turn(number: int, sides: Sequence[_Side]) -> Sequence[_Side]:
    """Returns both sides; in every second round the peer goes first."""
    return sides if number % 2 == 0 else sides[::-1]


def _peer_options(spec: ModelSpec, threads: int) -> PeerOptions:
    """Returns what the engine itself chooses for these threads."""
    return PeerOptions(spec.path, N_CTX, threads or cpu_threads(), threads or usable_cores())


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.run", description="Measure beside other programs."
    )
    parser.add_argument("--rounds", type=int, default=5, help="times each thing is measured; the median counts")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads of both; 0 is what llmchat takes by itself")
    parser.add_argument("--spincount", default=SPINCOUNT, help="GOMP_SPINCOUNT of both; libgomp's own is 300000")
    parser.add_argument("--strict", action="store_true", help="exit 1 where a target is missed")
    parser.add_argument(
        "--save", action=argparse.BooleanOptionalAction, default=True, help="keep it in docs/benchmarks/"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
