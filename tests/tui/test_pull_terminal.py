"""What the commands about models do where somebody watches and can be asked: choosing, the bar, agreeing."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.hub.faults import Fault
from tests.tui.model_stage import REPO, Stage, tiny
from tests.tui.terminal import run_in_terminal, unexpected

from llmchat_engine.models.hub.catalogue import catalogue

_CHILD = (sys.executable, str(Path(__file__).with_name("pull_child.py")))
_COLOURS = ("\x1b[2m", "\x1b[0m", "\x1b[33m", "\x1b[31m")


def watched(stage: Stage, *words: str, typed: bytes = b"", columns: int = 100) -> tuple[str, int]:
    output, code = run_in_terminal(words, stage.environ(), columns=columns, typed=typed, program=_CHILD)
    assert unexpected(output, _COLOURS) == []
    return output.decode(), code


def test_one_of_the_catalogue_is_chosen_by_its_number(stage: Stage) -> None:
    entry = catalogue()[0]
    stage.hub.add(entry.repo, {"a-Q8_0.gguf": tiny("chosen")})
    shown, code = watched(stage, "pull", typed=b"1\n")
    assert code == 0, shown
    assert entry.name in shown
    assert "Which one?" in shown
    assert f"pulled {entry.repo}:Q8_0" in shown
    assert (stage.models / entry.repo / "a-Q8_0.gguf").is_file()


def test_a_variant_is_chosen_by_its_number(stage: Stage) -> None:
    stage.hub.add("user/two-GGUF", {"a-Q8_0.gguf": tiny("a") + b"\0" * 4096, "a-Q4_K_M.gguf": tiny("b")})
    shown, code = watched(stage, "pull", "user/two-GGUF", "--select", typed=b"2\n")
    assert code == 0, shown
    assert "best for this machine" in shown
    assert (stage.models / "user/two-GGUF/a-Q4_K_M.gguf").is_file()


def test_a_bar_shows_how_far_it_is(stage: Stage) -> None:
    stage.hub.faults.always = Fault(throttle=len(tiny("Q8_0")))  # one second
    shown, code = watched(stage, "pull", REPO)
    assert code == 0, shown
    assert "downloading tiny-Q8_0.gguf  ▕" in shown
    assert "▕" not in watched(stage, "pull", "-q", f"{REPO}:F16")[0]


def test_rm_asks(stage: Stage) -> None:
    stage.run("pull", REPO)
    assert watched(stage, "rm", "tiny-Q8_0", typed=b"n\n")[1] == 0
    assert list(stage.models.rglob("*.gguf"))
    shown, code = watched(stage, "rm", "tiny-Q8_0", typed=b"y\n")
    assert (code, "removed" in shown) == (0, True)
    assert not list(stage.models.rglob("*.gguf"))


def test_the_list_tells_of_what_is_unfinished(stage: Stage) -> None:
    stage.hub.faults.content.append(Fault(cut=100_000))
    stage.hub.faults.always = Fault(status=404)
    assert stage.run("pull", f"{REPO}:Q8_0").code == 6
    shown, code = watched(stage, "ls", columns=300)
    assert code == 0
    assert f"unfinished: 100 kB of tiny-Q8_0.gguf · llmchat rm {stage.models / REPO / 'tiny-Q8_0.gguf'}" in shown
    assert "unfinished" not in watched(stage, "ls", "tiny")[0]


def test_lists_fit_a_narrow_terminal(stage: Stage) -> None:
    stage.run("pull", REPO)
    for words in (("ls",), ("models", "search", "tiny"), ("pull", REPO, "--dry-run")):
        shown, code = watched(stage, *words, columns=40)
        assert code == 0
        if words[0] != "pull":
            rows = [line.rpartition("\r")[2] for line in shown.replace("\r\n", "\n").splitlines()]
            assert [row for row in rows if len(row) > 60] == []
