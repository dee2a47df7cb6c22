"""The models that are suggested where nothing is named, and the program that asks the hub for them."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.hub.faults import Fault
from tests.hub.server import FakeHub

from llmchat_engine.models.hub import catalogue_check
from llmchat_engine.models.hub.catalogue import CATALOGUE, Entry, catalogue, suggested
from llmchat_engine.models.hub.catalogue_check import check, marked
from llmchat_engine.models.hub.client import Hub
from llmchat_engine.models.hub.names import is_repo
from llmchat_engine.models.hub.quants import CENTRE, GOOD_SPEED, needed

GIB = 1 << 30
ENTRY = Entry("M 1B", "user/m-GGUF", 1_000_000, 2, "tests", "mit", verified=False)
"""So small that its file fits into a test: 606 KB with four bits."""


@pytest.fixture
def fake() -> Iterator[FakeHub]:
    with FakeHub() as fake:
        yield fake


@pytest.fixture
def hub(fake: FakeHub, tmp_path: Path) -> Hub:
    return Hub({"HF_ENDPOINT": fake.endpoint, "HF_HOME": str(tmp_path)})


def test_a_dozen_models_from_small_to_large() -> None:
    entries = catalogue()
    assert len(entries) >= 12
    assert [entry.parameters for entry in entries] == sorted(entry.parameters for entry in entries)
    assert {2, 4, 8, 16, 24} <= {entry.tier for entry in entries}
    assert len({entry.repo for entry in entries}) == len({entry.name for entry in entries}) == len(entries)


@pytest.mark.parametrize("entry", catalogue(), ids=lambda entry: entry.name)
def test_each_entry_is_whole_and_fits_its_tier(entry: Entry) -> None:
    """Three quarters of a machine's memory are for a model; the rest is for all else that runs."""
    assert is_repo(entry.repo) and entry.name and entry.good_for and entry.licence
    assert needed(entry.size) <= 0.75 * entry.tier * GIB
    assert entry.active < entry.parameters


def test_what_fits_is_suggested_the_best_first() -> None:
    assert suggested(GIB) == ()
    for room in (2, 3, 6, 12, 24, 60):
        found = suggested(room * GIB)
        assert found and all(needed(entry.size) <= room * GIB for entry in found)
        assert [entry.parameters for entry in found] == sorted((e.parameters for e in found), reverse=True)
    assert suggested(1 << 60) == catalogue()[::-1]


def test_what_would_be_slow_comes_last() -> None:
    bandwidth = 40e9
    found = suggested(1 << 60, bandwidth)
    assert {*found} == {*catalogue()}
    quick = [entry.speed(bandwidth) >= GOOD_SPEED for entry in found]
    assert quick == sorted(quick, reverse=True) and not all(quick) and any(quick)
    # A mixture reads a tenth of its weights for a token.
    assert found[0].active


def files(quant: str = CENTRE, size: int = ENTRY.size) -> dict[str, bytes]:
    return {f"m-{quant}.gguf": bytes(size), f"m-{quant}-mmproj.gguf": b""}


def test_an_entry_that_is_as_written_is_good(fake: FakeHub, hub: Hub) -> None:
    fake.add("user/m-GGUF", files(), licence="MIT")
    checked = check(hub, ENTRY)
    assert checked.good and "Q4_K_M, 0.0 GB, MIT" in checked.told


@pytest.mark.parametrize(
    ("add", "told"),
    [
        (lambda fake: None, "there is no repository user/m-GGUF"),
        (lambda fake: fake.add("user/m-GGUF", files("Q8_0"), licence="mit"), "has no Q4_K_M — there are: Q8_0"),
        (lambda fake: fake.add("user/m-GGUF", files(), licence="gpl"), "the catalogue says mit"),
        (lambda fake: fake.add("user/m-GGUF", files(), licence="mit", gated=True), "it is gated"),
        (lambda fake: fake.add("user/m-GGUF", files(size=9), licence="mit"), "the catalogue expects"),
    ],
)
def test_an_entry_that_is_not_is_wrong(fake: FakeHub, hub: Hub, add: Callable[[FakeHub], object], told: str) -> None:
    add(fake)
    checked = check(hub, ENTRY)
    assert checked.good is False and told in checked.told


def test_a_hub_that_is_away_says_nothing_about_an_entry(fake: FakeHub, hub: Hub) -> None:
    fake.faults.api.append(Fault(503))
    assert check(hub, ENTRY).good is None


def test_the_program_asks_for_every_entry_and_keeps_what_it_found(
    fake: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "catalogue.toml"
    copy.write_bytes(CATALOGUE.read_bytes())
    entries = [replace(entry, parameters=ENTRY.parameters) for entry in catalogue()]
    monkeypatch.setattr(catalogue_check, "catalogue", lambda: entries)
    for entry in entries[1:]:
        fake.add(entry.repo, files(entry.quant or CENTRE, entry.size), licence=entry.licence)
    environ = {"HF_ENDPOINT": fake.endpoint, "HF_HOME": str(tmp_path)}

    assert catalogue_check.main([], environ, copy) == 1
    assert copy.read_bytes() == CATALOGUE.read_bytes()
    assert catalogue_check.main(["--write"], environ, copy) == 1
    assert f"wrong    {entries[0].repo}: there is no repository" in capsys.readouterr().out
    models = tomllib.loads(copy.read_text(encoding="utf-8"))["model"]
    assert [model["verified"] for model in models] == [False] + [True] * (len(entries) - 1)

    fake.add(entries[0].repo, files(size=entries[0].size), licence=entries[0].licence)
    assert catalogue_check.main(["--write"], environ, copy) == 0
    assert all(model["verified"] for model in tomllib.loads(copy.read_text(encoding="utf-8"))["model"])


def test_what_could_not_be_asked_for_stays_as_it_was(fake: FakeHub, hub: Hub) -> None:
    fake.faults.api.append(Fault(503))
    text = '\n[[model]]\nname = "M"\nrepo = "user/m-GGUF"\ntier = 2\nverified = true\n'
    assert marked(text, [check(hub, ENTRY)]) == text
    assert marked(text, [check(hub, ENTRY)]) == text.replace("true", "false")
