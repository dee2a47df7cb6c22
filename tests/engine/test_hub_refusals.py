"""What the hub does not give: one sentence for each reason, at once, and never a token in any of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engine.hub_user import FILES, REPO, OpenHub, hubs_of, one_repo
from tests.engine.rig import until
from tests.hub.faults import Fault
from tests.hub.server import TOKEN, FakeHub

from llmchat_engine.errors import HubError, HubForbidden, HubMissing, HubUnreachable, RequestInvalid
from llmchat_engine.models.hub import session as hub_session
from llmchat_engine.models.hub.client import Hub
from llmchat_engine.models.hub.errors import redact
from llmchat_engine.models.hub.types import Reference

BAD_TOKEN = "Invalid credentials in Authorization header"


@pytest.fixture
def fake() -> Iterator[FakeHub]:
    with one_repo() as fake:
        yield fake


@pytest.fixture
def open_hub(fake: FakeHub, tmp_path: Path) -> OpenHub:
    return hubs_of(fake, tmp_path)


def refuse(hub: Hub, reference: Reference = REPO) -> HubError:
    with pytest.raises(HubError) as refused:
        hub.repo(reference)
    error = refused.value
    assert error.what and error.hint and "\n" not in f"{error} {error.hint}"
    return error


Refusals = dict[str, tuple[Fault, type[HubError], str, str]]
REFUSALS: Refusals = {
    "gated": (Fault(403, error_code="GatedRepo"), HubForbidden, "is gated", "ask for it on https://"),
    "bad token": (Fault(401, message=BAD_TOKEN), HubForbidden, "does not take the token", "hf auth login"),
    "old token": (Fault(401, message="expired"), HubForbidden, "does not take the token", "unset HF_TOKEN"),
    "disabled": (Fault(403, message="Access to this resource is disabled."), HubForbidden, "is closed", "another"),
    "forbidden": (Fault(403, message="no right"), HubForbidden, "status 403: no right", "hf auth login"),
    "missing": (Fault(404, error_code="RepoNotFound"), HubMissing, "there is no repository", "models search m"),
    "revision": (Fault(404, error_code="RevisionNotFound"), HubMissing, "no revision main", "llmchat pull user/m-GGUF"),
    "too often": (Fault(429, retry_after="55"), HubUnreachable, "the next one in 55 s", "wait 55 s"),
    "too often, unsaid": (Fault(429), HubUnreachable, "does not say when", "some minutes"),
    "until a date": (
        Fault(429, retry_after="Wed, 21 Oct 2015 07:28:00 GMT"),
        HubUnreachable,
        "asked too often",
        "wait",
    ),
    "no date": (Fault(429, retry_after="soon"), HubUnreachable, "does not say when", "wait"),
    "gave up": (Fault(408), HubUnreachable, "gave up waiting", "try again"),
    "failure": (Fault(500), HubUnreachable, "a failure of its own — status 500", "some minutes"),
    "away": (Fault(503, retry_after="7"), HubUnreachable, "a failure of its own", "try again in 7 s"),
    "other": (Fault(418, message="a teapot"), HubError, "refuses the request — status 418: a teapot", "up to date"),
    "a page": (Fault(page=True), HubUnreachable, "cannot be read", "HF_ENDPOINT"),
    "cut off": (Fault(location="http://127.0.0.1:1/"), HubUnreachable, "cannot be reached", "llmchat ls"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_each_refusal_has_its_own_sentence(fake: FakeHub, open_hub: OpenHub, name: str) -> None:
    fault, kind, told, hint = REFUSALS[name]
    fake.faults.api.append(fault)
    error = refuse(open_hub(HF_TOKEN=TOKEN))
    assert type(error) is kind
    assert told in str(error) and hint in error.hint
    assert len(fake.asked("api")) == 1, "nobody waits for tries that he did not ask for"


@pytest.mark.parametrize("name", REFUSALS)
def test_a_search_is_refused_at_once_too(fake: FakeHub, open_hub: OpenHub, name: str) -> None:
    fake.faults.api.append(REFUSALS[name][0])
    with pytest.raises(HubError) as refused:
        open_hub().search("m")
    assert refused.value.what and refused.value.hint
    assert len(fake.asked("api")) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 418, 429, 500])
def test_a_token_that_the_hub_repeats_is_not_told(fake: FakeHub, open_hub: OpenHub, status: int) -> None:
    fake.faults.api.extend([Fault(status, echo=True, error_code="Odd"), Fault(status, echo=True, error_code="Odd")])
    for token in (TOKEN, "a-token-of-another-form"):
        error = refuse(open_hub(HF_TOKEN=token))
        assert fake.asked("api")[-1].authorization == f"Bearer {token}"
        assert token not in f"{error!r} {error} {error.hint}"


def test_a_private_repository_is_like_a_missing_one_until_the_token_fits(fake: FakeHub, open_hub: OpenHub) -> None:
    fake.add("user/m-GGUF", FILES, private=True)
    error = refuse(open_hub())
    assert "or it is private and needs a token" in str(error) and "hf auth login" in error.hint
    assert "the account of your token may not see it" in str(refuse(open_hub(HF_TOKEN=TOKEN)))
    fake.tokens.add(TOKEN)
    assert open_hub(HF_TOKEN=TOKEN).repo(REPO).name == "user/m-GGUF"


def test_a_gated_repository_is_told_and_names_its_page(fake: FakeHub, open_hub: OpenHub) -> None:
    fake.add("user/m-GGUF", FILES, gated=True)
    assert open_hub().repo(REPO).gated
    fake.faults.api.append(Fault(401, error_code="GatedRepo"))
    hint = refuse(open_hub()).hint
    assert "/user/m-GGUF" in hint and "hf auth login" in hint


def test_the_token_stays_with_the_hub(fake: FakeHub, open_hub: OpenHub) -> None:
    """A redirect to another port is one to another host."""
    fake.faults.api.append(Fault(location=f"{fake.cdn}/elsewhere"))
    refuse(open_hub(HF_TOKEN=TOKEN))
    assert [asked.authorization for asked in fake.requests] == [f"Bearer {TOKEN}", ""]


def test_a_token_comes_from_the_environment_then_from_its_file(open_hub: OpenHub, tmp_path: Path) -> None:
    assert "authorization" not in open_hub().headers()
    (tmp_path / "token").write_text("hf_fromTheFile\n")
    (tmp_path / "other").write_text("hf_fromAnother")
    assert open_hub().headers()["authorization"] == "Bearer hf_fromTheFile"
    assert open_hub(HF_TOKEN_PATH=str(tmp_path / "other")).headers()["authorization"] == "Bearer hf_fromAnother"
    assert open_hub(HF_TOKEN=" hf_named\n").headers()["authorization"] == "Bearer hf_named"
    assert "authorization" not in open_hub(HF_TOKEN="hf_named", HF_HUB_DISABLE_IMPLICIT_TOKEN="1").headers()


@pytest.mark.parametrize("token", ["hf_tokén", "hf_two words", "hf_x\x00y"])
def test_a_token_that_is_none_is_not_sent(fake: FakeHub, open_hub: OpenHub, token: str) -> None:
    with pytest.raises(HubForbidden, match="cannot be used") as refused:
        open_hub(HF_TOKEN=token).repo(REPO)
    assert token not in f"{refused.value} {refused.value.hint}" and not fake.requests


def test_nothing_about_this_machine_is_told(open_hub: OpenHub, fake: FakeHub) -> None:
    agent = open_hub().headers()["user-agent"]
    assert agent.startswith("llmchat/")
    assert {part.split("/")[0] for part in agent.split("; ")} == {"llmchat", "hf_hub", "python"}
    open_hub().repo(REPO)
    assert [asked.path for asked in fake.requests] == ["/api/models/user/m-GGUF/revision/main"]


@pytest.mark.parametrize(("variable", "value"), [("HF_HUB_OFFLINE", "1"), ("TRANSFORMERS_OFFLINE", "True")])
def test_offline_asks_nothing(fake: FakeHub, open_hub: OpenHub, variable: str, value: str) -> None:
    error = refuse(open_hub(**{variable: value}))
    assert isinstance(error, HubUnreachable)
    assert f"{variable}={value} is set" in str(error) and f"unset {variable}" in error.hint
    assert not fake.requests


@pytest.mark.parametrize("value", ["0", "false", "", "no"])
def test_offline_that_is_switched_off_is_off(open_hub: OpenHub, value: str) -> None:
    assert open_hub(HF_HUB_OFFLINE=value).repo(REPO).name == "user/m-GGUF"


@pytest.mark.parametrize(
    "endpoint", ["huggingface.co", "ftp://host", "https://", "https://h:port", "http://[x", "http://h\x1b"]
)
def test_an_endpoint_that_is_none_is_refused(endpoint: str) -> None:
    with pytest.raises(RequestInvalid, match="HF_ENDPOINT") as refused:
        Hub({"HF_ENDPOINT": endpoint}).repo(REPO)
    assert "export HF_ENDPOINT=https://huggingface.co" in refused.value.hint


def test_a_hub_may_be_named_beside_the_environment(fake: FakeHub, tmp_path: Path) -> None:
    hub = Hub({"HF_ENDPOINT": "http://127.0.0.1:1", "HF_HOME": str(tmp_path)}, endpoint=f"{fake.endpoint}/")
    assert hub.repo(REPO).name == "user/m-GGUF" and hub.endpoint == fake.endpoint
    assert Hub({}).endpoint == "https://huggingface.co"


def test_a_port_where_nothing_listens_is_not_reached(tmp_path: Path) -> None:
    error = refuse(Hub({"HF_ENDPOINT": "http://127.0.0.1:1", "HF_HOME": str(tmp_path)}))
    assert isinstance(error, HubUnreachable) and "127.0.0.1:1 cannot be reached" in str(error)


def test_silence_ends(fake: FakeHub, open_hub: OpenHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_session, "SILENCE", 0.05)
    fake.faults.api.extend([Fault(stall=-1), Fault(stall=-1)])
    for ask in (lambda: open_hub().repo(REPO), lambda: open_hub().search("m")):
        with pytest.raises(HubUnreachable, match="it said nothing for"):
            ask()
    assert until(lambda: len(fake.asked("api")) == 2, 30)


def test_an_answer_that_does_not_end_ends(open_hub: OpenHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_session, "WHOLE", -1.0)
    assert "longer than" in str(refuse(open_hub()))
    monkeypatch.undo()
    monkeypatch.setattr(hub_session, "LARGEST", 100)
    assert "longer than" in str(refuse(open_hub()))


def test_the_client_prints_nothing_that_a_server_says(
    fake: FakeHub, open_hub: OpenHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would log the words of this header to stderr, as they stand."""
    from tests.hub.handler import Handler

    sent = Handler._send
    warning = {"X-HF-Warning": "topic; \x1b[2Jbuy more"}
    monkeypatch.setattr(Handler, "_send", lambda self, status, body, told: sent(self, status, body, told | warning))
    hub = open_hub()
    hub.headers()  # the client is there from now on
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", records.append)
    logging.getLogger("huggingface_hub").addHandler(handler)
    try:
        assert hub.repo(REPO).name == "user/m-GGUF"
    finally:
        logging.getLogger("huggingface_hub").removeHandler(handler)
    assert records == []


def test_a_proxy_that_cannot_be_used_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "nonsense://me:secret@host")
    with pytest.raises(HubUnreachable, match="no connection can be opened") as refused:
        hub_session._make_client()
    assert "ALL_PROXY" in refused.value.hint and "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sent hf_abcdefghij1234", "sent hf_…"),
        ("Authorization: Bearer xyz.123", "Authorization: hf_…"),
        ("at https://me:secret@host/x", "at https://…@host/x"),
        ("at https://me:sec@ret@host/x@y", "at https://…@host/x@y"),
        ("my-token is out", "hf_… is out"),
        ("nothing", "nothing"),
    ],
)
def test_secrets_are_taken_out_of_texts(text: str, told: str) -> None:
    assert redact(text, "my-token") == told
