"""The hub, asked through its real client: what it tells of repositories, whatever it tells."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engine.hub_user import FILES, REPO, OpenHub, hubs_of, one_repo
from tests.hub.server import FakeHub

from llmchat_engine.errors import HubMissing, HubUnreachable, RequestInvalid
from llmchat_engine.models.hub.quants import best_variant
from llmchat_engine.models.hub.types import HubFile, Reference


@pytest.fixture
def fake() -> Iterator[FakeHub]:
    with one_repo() as fake:
        yield fake


@pytest.fixture
def open_hub(fake: FakeHub, tmp_path: Path) -> OpenHub:
    return hubs_of(fake, tmp_path)


def info(**changes: object) -> dict[str, Any]:
    """Returns what a hub tells of a repository, with changes."""
    told: dict[str, Any] = {
        "id": "user/m-GGUF", "sha": "a" * 40, "downloads": 5, "likes": 2, "gated": False, "tags": ["gguf"],
        "siblings": [{"rfilename": "m-Q8_0.gguf", "size": 3, "lfs": {"size": 3, "sha256": "b" * 64, "pointerSize": 1}}],
    }  # fmt: skip
    return {**told, **changes}


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[[object], None]:
    """Has every question to the API answered with this JSON."""
    from tests.hub.handler import Handler

    def answer_with(told: object) -> None:
        monkeypatch.setattr(Handler, "_api", lambda handler, _: handler._send(200, json.dumps(told).encode(), {}))

    return answer_with


def test_a_repository_is_told_with_sizes_and_hashes(fake: FakeHub, open_hub: OpenHub) -> None:
    repo = open_hub().repo(REPO)
    stored = fake.repos["user/m-GGUF"]
    assert (repo.name, repo.commit, repo.kind) == ("user/m-GGUF", stored.commit, "gguf")
    assert (repo.licence, repo.gated, repo.downloads, repo.base_model) == ("apache-2.0", False, 1234, "user/m")
    assert repo.files == (
        HubFile("m-Q4_K_M.gguf", 400, stored.files["m-Q4_K_M.gguf"].sha256),
        HubFile("m-Q8_0.gguf", 1000, stored.files["m-Q8_0.gguf"].sha256),
        HubFile("README.md", 3),
    )


def test_a_file_is_fetched_at_the_commit(fake: FakeHub, open_hub: OpenHub) -> None:
    hub = open_hub()
    repo = hub.repo(REPO)
    address = hub.address(repo, HubFile("a b/m#1.gguf", 1))
    assert address == f"{fake.endpoint}/user/m-GGUF/resolve/{repo.commit}/a%20b/m%231.gguf"


def test_hostile_names_of_files_are_left_out(fake: FakeHub, open_hub: OpenHub) -> None:
    hostile = ["../x.gguf", "/etc/x.gguf", "a\\..\\x.gguf", "C:x.gguf", "a/../../x.gguf", "x\x1b[2J.gguf", "a//b.gguf"]
    fake.add("user/m-GGUF", {**dict.fromkeys(hostile, b"x"), "m-Q8_0.gguf": b"good"})
    assert [file.path for file in open_hub().repo(REPO).files] == ["m-Q8_0.gguf"]
    fake.add("user/m-GGUF", dict.fromkeys(hostile, b"x"))
    with pytest.raises(HubMissing, match="lead out of its folder"):
        open_hub().repo(REPO)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"model.safetensors": b"x", "config.json": b"{}"}, "the original model"),
        ({"model-00001-of-00002.safetensors": b"x"}, "the original model"),
        ({"pytorch_model.bin": b"x"}, "the original model"),
        ({"README.md": b"x"}, "neither GGUF files nor"),
    ],
)
def test_a_repository_without_gguf_says_what_it_is(
    fake: FakeHub, open_hub: OpenHub, files: dict[str, bytes], told: str
) -> None:
    fake.add("user/Llama-3", files)
    with pytest.raises(HubMissing, match=told) as missing:
        open_hub().repo(Reference("user/Llama-3"))
    assert "llmchat models search Llama-3" in missing.value.hint


@pytest.mark.parametrize(
    "told",
    [
        None, 1, "text", [], {}, {"id": 3}, info(id="../.."), info(id="user/m/x"), info(sha=None), info(sha="main"),
        info(sha="a" * 39 + "/"), info(siblings=3), info(siblings=[3]), info(siblings=[{}]),
        info(siblings=[{"rfilename": "a", "lfs": {"size": 1}}]), info(lastModified="yesterday"),
        info(cardData={"ignore_metadata_errors": True}),
    ],
)  # fmt: skip
def test_an_answer_that_is_none_is_told(open_hub: OpenHub, answers: Callable[[object], None], told: object) -> None:
    answers(told)
    with pytest.raises(HubUnreachable, match="cannot be read"):
        open_hub().repo(REPO)


def test_odd_values_do_no_harm(open_hub: OpenHub, answers: Callable[[object], None]) -> None:
    odd = [
        {"rfilename": "no-size.gguf"},
        {"rfilename": "minus.gguf", "size": -1},
        {"rfilename": "text.gguf", "size": "9"},
    ]
    hash_ = {"rfilename": "m-Q8_0.gguf", "size": 1, "lfs": {"size": 7, "sha256": "../../x", "pointerSize": 1}}
    answers(info(siblings=[*odd, hash_], downloads="many", tags=[3, "license:mit"], config=[1], cardData=None))
    repo = open_hub().repo(REPO)
    assert repo.files == (HubFile("m-Q8_0.gguf", 7),)
    assert (repo.downloads, repo.licence, repo.base_model) == (0, "mit", "")


@pytest.mark.parametrize(
    ("card", "licence", "base"),
    [
        ({"license": "apache-2.0", "base_model": ["a/b", "c/d"]}, "apache-2.0", "a/b"),
        ({"license": ["mit"], "base_model": "a/b"}, "mit", "a/b"),
        ({"license": "other", "license_name": "own-licence"}, "own-licence", ""),
        ({"license": "other"}, "other", ""),
        ({"license": {"name": "x"}, "base_model": 3}, "from-the-tags", ""),
    ],
)
def test_the_licence_is_told_by_its_name(
    open_hub: OpenHub, answers: Callable[[object], None], card: dict[str, object], licence: str, base: str
) -> None:
    answers(info(cardData=card, tags=["license:from-the-tags"]))
    repo = open_hub().repo(REPO)
    assert (repo.licence, repo.base_model) == (licence, base)


def test_a_renamed_repository_is_called_as_the_hub_does(open_hub: OpenHub, answers: Callable[[object], None]) -> None:
    answers(info(id="New-User/m-GGUF"))
    assert open_hub().repo(Reference("new-user/m-gguf")).name == "New-User/m-GGUF"


def test_a_search_finds_models_with_about_their_sizes(fake: FakeHub, open_hub: OpenHub) -> None:
    fake.add("user/big-m-GGUF", {"m-Q4_K_M.gguf": b"", "../m-Q8_0.gguf": b""}, downloads=9999, gated=True)
    fake.add("user/m", {"model.safetensors": b""})
    found = open_hub().search("m")
    assert [repo.repo for repo in found] == ["user/big-m-GGUF", "user/m-GGUF"]
    assert (found[0].downloads, found[0].likes, found[0].updated, found[0].gated) == (9999, 56, "2026-10-31", True)
    assert [variant.quant for variant in found[0].variants] == ["Q4_K_M"]
    # The hub tells of 135 million parameters: 143 MB with 8.5 bits, and 600 MB more to run.
    assert [round(variant.size / 1e6) for variant in found[1].variants] == [143, 82]
    best = best_variant(found[1].variants, 744_000_000)
    assert best is not None and best.quant == "Q8_0"
    (asked,) = fake.asked("api")
    assert "filter=gguf" in asked.query and "sort=downloads" in asked.query and "limit=20" in asked.query


def test_words_are_found_in_any_order(fake: FakeHub, open_hub: OpenHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub itself looks for the text as it stands."""
    from tests.hub.handler import Handler

    def searched(handler: Handler) -> list[object]:
        (text,) = handler.query["search"]
        return [repo for repo in fake.repos.values() if text.casefold() in repo.name.casefold()]

    monkeypatch.setattr(Handler, "_searched", searched)
    fake.add("user/Qwen3-4B-GGUF", FILES)
    fake.add("user/Qwen3-8B-GGUF", FILES)
    assert [repo.repo for repo in open_hub().search("4b qwen3")] == ["user/Qwen3-4B-GGUF"]
    assert open_hub().search("nothing at all") == ()


def test_what_a_search_tells_without_sense_is_left_out(open_hub: OpenHub, answers: Callable[[object], None]) -> None:
    answers([info(id="../../x"), info(gguf={"total": "many"}), info(id="u/none", siblings=None, gguf=7)])
    found = open_hub().search("m")
    assert [(repo.repo, len(repo.variants)) for repo in found] == [("user/m-GGUF", 1), ("u/none", 0)]
    assert found[0].variants[0].size == 0


def test_a_search_for_nothing_is_refused(open_hub: OpenHub) -> None:
    with pytest.raises(RequestInvalid, match="nothing to search for"):
        open_hub().search("  ")


def test_several_threads_may_ask(fake: FakeHub, open_hub: OpenHub) -> None:
    hub, names = open_hub(), []
    threads = [threading.Thread(target=lambda: names.append(hub.repo(REPO).name)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert names == ["user/m-GGUF"] * 8
