"""`llmchat models search`: what the hub finds, and what of it this machine can run."""

from __future__ import annotations

import json

from tests.hub.faults import Fault
from tests.tui.model_stage import REPO, Stage, tiny


def test_what_is_found_with_what_fits(stage: Stage) -> None:
    found = stage.run("models", "search", "tiny")
    assert found.code == 0, found.err
    head, line = found.out.splitlines()
    assert head.split()[:3] == ["repository", "downloads", "likes"]
    assert line.split()[0] == REPO
    assert " Q8_0 " in line
    assert " yes " in line
    (told,) = json.loads(stage.run("models", "search", "tiny", "--json").out)
    assert (told["repo"], told["sizes_known"], told["best"], told["gated"]) == (REPO, True, "Q8_0", False)
    assert {one["quantization"] for one in told["variants"]} == {"Q8_0", "Q4_K_M", "F16"}
    assert all(one["fits"] == "yes" for one in told["variants"])


def test_sizes_are_asked_for_the_first_few_only(stage: Stage) -> None:
    for number in range(8):
        stage.hub.add(f"user/many-{number}-GGUF", {"a-Q8_0.gguf": tiny("a")}, downloads=number)
    told = json.loads(stage.run("models", "search", "many", "--json").out)
    assert [one["sizes_known"] for one in told] == [True] * 5 + [False] * 3
    assert len(json.loads(stage.run("models", "search", "many", "--limit", "3", "--json").out)) == 3
    assert "~" in stage.run("models", "search", "many").out


def test_sizes_that_cannot_be_had_do_not_spoil_the_search(stage: Stage) -> None:
    stage.hub.faults.api.extend([Fault(), Fault(status=500)])
    (told,) = json.loads(stage.run("models", "search", "tiny", "--json").out)
    assert (told["repo"], told["sizes_known"]) == (REPO, False)


def test_nothing_found_and_no_network(stage: Stage) -> None:
    assert json.loads(stage.run("models", "search", "no-such", "--json").out) == []
    failed = stage.run("models", "search", "tiny", HF_HUB_OFFLINE="1")
    assert (failed.code, failed.out) == (6, "")
    assert stage.run("models", "search").code == 2
