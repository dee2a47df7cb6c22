"""Downloads that a hub refuses: a sentence for each, tries without end for none, and the token for the hub alone."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path

import pytest
from tests.engine.downloads import BRISK, NAME, REPO, SIZE, contents, hub_with, no_proxies, run, source_of, stop_at
from tests.hub.faults import Fault
from tests.hub.server import TOKEN, FakeHub

from llmchat_engine.errors import DownloadBroken, EngineError, HubError, HubForbidden, HubMissing, HubUnreachable
from llmchat_engine.models.hub.download import download
from llmchat_engine.models.hub.parts import PART, beside

KEPT = SIZE // 3


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    no_proxies(monkeypatch)
    with hub_with() as hub:
        yield hub


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / NAME


def refused(hub: FakeHub, target: Path, kind: type[HubError], token: str = "") -> HubError:
    """Downloads what is refused; returns the error, in which there is no token and a sentence with a next step."""
    with pytest.raises(kind) as caught:
        run(download(source_of(hub, token=token), target, BRISK))
    error = caught.value
    assert type(error) is kind and not target.exists()
    assert error.what and error.hint
    assert TOKEN not in f"{error}{error.hint}{error!r}"
    return error


def test_six_tries_without_a_byte_are_enough(hub: FakeHub, target: Path) -> None:
    hub.faults.always = Fault(status=503)
    error = refused(hub, target, HubUnreachable)
    assert len(hub.asked("content")) == 6
    assert error.why == "127.0.0.1 failed by itself (status 503)"


def test_a_server_that_always_begins_anew_is_not_asked_for_ever(hub: FakeHub, target: Path) -> None:
    hub.faults.always = Fault(ignore_range=True, cut=KEPT)
    refused(hub, target, HubUnreachable)
    assert len(hub.asked("content")) == 7
    assert beside(target, PART).stat().st_size == KEPT


@pytest.mark.parametrize(
    ("fault", "kind", "tells"),
    [
        (Fault(status=404, error_code="EntryNotFound"), HubMissing, f"{REPO} has no file {NAME}"),
        (Fault(status=401, error_code="GatedRepo"), HubForbidden, f"{REPO} is gated"),
        (Fault(status=403, error_code="GatedRepo", echo=True), HubForbidden, f"{REPO} is gated"),
        (Fault(status=403, echo=True), HubForbidden, "forbids it"),
        (Fault(status=401, message="Invalid credentials in Authorization header"), HubForbidden, "the token"),
        (Fault(status=418, echo=True), HubError, "refuses the request"),
    ],
)
def test_what_the_hub_refuses_is_asked_once(
    hub: FakeHub, target: Path, fault: Fault, kind: type[HubError], tells: str
) -> None:
    hub.faults.resolve.append(fault)
    assert tells in refused(hub, target, kind, TOKEN).what
    assert len(hub.requests) == 1
    assert list(target.parent.iterdir()) == []


def test_an_expired_link_is_asked_for_once_more(hub: FakeHub, target: Path) -> None:
    hub.faults.always = Fault(status=403)
    error = refused(hub, target, HubUnreachable)
    assert "refused to send it (status 403)" in error.why
    assert len(hub.asked("resolve")) == len(hub.asked("content")) == 2
    links = [asked.query for asked in hub.asked("content")]
    assert links[0] != links[1]


def test_a_link_may_expire_each_time_that_something_came(hub: FakeHub, target: Path) -> None:
    hub.faults.content.extend([Fault(cut=KEPT), Fault(status=403), Fault(cut=KEPT), Fault(status=403)])
    run(download(source_of(hub), target, BRISK))
    assert target.read_bytes() == contents()


def test_a_web_page_is_no_model_and_costs_nothing_that_is_here(hub: FakeHub, target: Path) -> None:
    hub.faults.content.append(Fault(stall=KEPT))
    stop_at(download(source_of(hub), target, BRISK), KEPT)
    hub.faults.content.append(Fault(page=True))
    error = refused(hub, target, DownloadBroken)
    assert "a web page in place of the file" in error.why
    assert beside(target, PART).read_bytes() == contents()[:KEPT]


def test_wrong_bytes_twice_are_removed(hub: FakeHub, target: Path) -> None:
    hub.faults.always = Fault(wrong_at=SIZE - 1)
    assert "sha256" in refused(hub, target, DownloadBroken).why
    assert len(hub.asked("content")) == 2
    assert list(target.parent.iterdir()) == []


def test_a_file_of_another_size_is_not_taken(hub: FakeHub, target: Path) -> None:
    hub.faults.always = Fault(short=5)
    error = refused(hub, target, DownloadBroken)
    assert error.why == "127.0.0.1 sent 299,995 bytes, the hub promised 300,000"
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize("asked", ["3600", formatdate(time.time() + 100_000, usegmt=True)], ids=["seconds", "date"])
def test_a_server_that_asks_for_hours_is_not_waited_for(hub: FakeHub, target: Path, asked: str) -> None:
    hub.faults.content.append(Fault(status=429, retry_after=asked))
    error = refused(hub, target, HubUnreachable)
    assert "asks to wait" in error.why and len(hub.asked("content")) == 1


def test_redirects_in_a_circle_end(hub: FakeHub, target: Path) -> None:
    hub.faults.resolve.extend([Fault(loop=True)] * 100)
    assert "without an end" in refused(hub, target, HubUnreachable).why
    assert len(hub.requests) == 10


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_a_redirect_leads_to_the_web_alone(hub: FakeHub, target: Path, address: str) -> None:
    hub.faults.resolve.append(Fault(location=address))
    with pytest.raises(EngineError, match="redirected"):
        run(download(source_of(hub), target, BRISK))
    assert len(hub.requests) == 1


def test_nobody_there_is_told_after_some_tries(hub: FakeHub, target: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        source = replace(source_of(hub), url=f"http://127.0.0.1:{closed.getsockname()[1]}/x")
        with pytest.raises(HubUnreachable, match=r"could not download from 127\.0\.0\.1 — the connection failed"):
            run(download(source, target, BRISK))


@pytest.mark.parametrize("url", ["http://[x", "nothing", "http://127.0.0.1:99999/x", "ftp://127.0.0.1/x"])
def test_an_address_that_is_none_is_told_at_once(hub: FakeHub, target: Path, url: str) -> None:
    with pytest.raises(HubError):
        run(download(replace(source_of(hub), url=url), target, replace(BRISK, first_wait=60)))


@pytest.mark.parametrize("value", [f"Bearer {TOKEN}\n", f"Bearer {TOKEN}é", f"Bearer {TOKEN}\x00"])
def test_a_token_that_cannot_be_sent_is_in_no_text(hub: FakeHub, target: Path, value: str) -> None:
    source = replace(source_of(hub), headers={"authorization": value})
    with pytest.raises(HubForbidden) as caught:
        run(download(source, target, BRISK))
    assert TOKEN not in f"{caught.value}{caught.value.hint}{caught.value!r}{source!r}"
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_token_is_for_the_hub_alone(hub: FakeHub, target: Path, host: str) -> None:
    """Another host, and another port of the same one, are somebody else."""
    hub.faults.cdn_host = host
    run(download(source_of(hub, token=TOKEN), target, BRISK))
    assert [asked.authorization for asked in hub.asked("resolve")] == [f"Bearer {TOKEN}"]
    assert [asked.authorization for asked in hub.asked("content")] == [""]
    assert hub.asked("content")[0].host.startswith(f"{host}:")


def test_the_token_stays_on_a_redirect_inside_the_hub(hub: FakeHub, target: Path) -> None:
    hub.faults.resolve.append(Fault(location=f"/{REPO}/resolve/main/{NAME}"))
    run(download(source_of(hub, token=TOKEN), target, BRISK))
    assert [asked.authorization for asked in hub.asked("resolve")] == [f"Bearer {TOKEN}"] * 2


def test_the_token_does_not_come_back_from_elsewhere(hub: FakeHub, target: Path) -> None:
    hub.faults.cdn_host = "localhost"
    hub.faults.content.append(Fault(location=f"{hub.endpoint}/{REPO}/resolve/main/{NAME}"))
    run(download(source_of(hub, token=TOKEN), target, BRISK))
    assert [asked.authorization for asked in hub.requests] == [f"Bearer {TOKEN}", "", "", ""]
