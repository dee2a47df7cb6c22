"""The chat of ten turns with llmchat and beside it with other programs: what each computes again, round by round.

Knows who takes part and whose turn it is; a round of ours is bench_round.py's, one of theirs chats.py's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.benchmarks.chats import Peer, play
from tests.benchmarks.peers import LlamaPeer, PeerOptions
from tests.benchmarks.server_peer import ServerMissing, ServerPeer, install
from tests.benchmarks.targets import LLAMA, SERVER, of_peer

from llmchat_engine import Engine, ModelSpec
from llmchat_tui.cli.bench import floor_of, measured_bandwidth
from llmchat_tui.cli.bench_chat import TURNS, Script, chat_length, write_script
from llmchat_tui.cli.bench_ratios import add_round, ratios
from llmchat_tui.cli.bench_report import Ratios, Samples
from llmchat_tui.cli.bench_round import OTHER_CHATS, Round, run_round

MOST_ROUNDS = 3
"""Each takes a minute and a half."""
Scripts = list[tuple[Script, Script]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where all of it runs."""

    spec: ModelSpec
    state: Path
    options: PeerOptions
    environ: Mapping[str, str]
    python: Path
    """One whose llama-cpp-python works here."""


def write_scripts(engine: Engine, n_ctx: int, rounds: int) -> Scripts:
    """Returns the chat and the other chat of each round, as `run_round` has them."""
    length = chat_length(n_ctx)
    numbers = range(min(rounds, MOST_ROUNDS))
    return [
        (write_script(engine, number, length), write_script(engine, number + OTHER_CHATS, length // TURNS, 1))
        for number in numbers
    ]


def compare_chats(place: Place, scripts: Scripts, samples: Samples, tell: Callable[[str], None]) -> Ratios:
    """Runs all rounds, adds their rows, and returns the ratios."""
    bandwidth = measured_bandwidth(place.spec)
    samples.add("memory bandwidth", "GB/s", bandwidth / 1e9)
    found: list[Round] = []

    def ours(number: int) -> None:
        found.append(run_round(place.spec, place.state, number, lambda _: None))
        add_round(samples, found[-1], floor_of(place.spec, found[-1], bandwidth))

    def theirs(name: str, start: Callable[[], Peer], number: int) -> None:
        for row, value in play(start, *scripts[number]).items():
            samples.add(of_peer(row, name), "ms", value)

    sides: dict[str, Callable[[int], None]] = {"llmchat": ours}
    sides |= {name: partial(theirs, name, start) for name, start in _peers(place).items()}
    for number in range(len(scripts)):
        for name in _in_turn(list(sides), number):
            tell(f"a chat of ten turns, round {number + 1} of {len(scripts)}: {name}")
            sides[name](number)
    return ratios(found)


def _in_turn(names: list[str], number: int) -> list[str]:
    """Returns the names from another one on in each round."""
    first = number % len(names)
    return names[first:] + names[:first]


def _peers(place: Place) -> dict[str, Callable[[], Peer]]:
    """Returns how each of the others is started."""
    found: dict[str, Callable[[], Peer]] = {
        LLAMA: lambda: LlamaPeer(place.options, place.environ, place.python),
    }
    try:
        libraries = install()
        ServerPeer(place.options, place.environ, place.python, libraries).close()
        found[SERVER] = lambda: ServerPeer(place.options, place.environ, place.python, libraries)
    except ServerMissing as error:
        print(f"without {SERVER}: {error}", file=sys.stderr)
    return found
