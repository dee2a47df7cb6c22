"""The token of the hub, and a password in HF_ENDPOINT, are in nothing that is printed or written, whatever happens."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.hub.faults import Fault
from tests.hub.server import TOKEN
from tests.tui.asking import ROOT
from tests.tui.model_stage import REPO, Stage

FAULTS = {
    "the hub repeats it": ("api", Fault(status=403, echo=True)),
    "the hub fails and repeats it": ("api", Fault(status=500, echo=True)),
    "a gated file": ("resolve", Fault(status=403, error_code="GatedRepo", echo=True)),
    "a refused file": ("resolve", Fault(status=418, echo=True)),
    "a server that was pointed to": ("content", Fault(status=404, echo=True)),
    "nothing goes wrong": ("content", Fault()),
}


@pytest.mark.parametrize(("kind", "fault"), FAULTS.values(), ids=FAULTS)
def test_the_token_is_in_no_file_and_no_line(stage: Stage, kind: str, fault: Fault) -> None:
    stage.hub.faults.cdn_host = "localhost"
    stage.hub.tokens.add(TOKEN)
    getattr(stage.hub.faults, kind).append(fault)
    command = [sys.executable, "-m", "tests.tui.pull_child", "--debug", "pull", f"{REPO}:Q8_0"]
    environ = stage.environ(HF_TOKEN=TOKEN)
    done = subprocess.run(command, capture_output=True, text=True, env=environ, cwd=ROOT, timeout=60, check=False)
    failed = fault != Fault()
    assert ("Traceback" in done.stderr, done.returncode == 0) == (failed, not failed), done.stderr
    assert "hf_canary" not in done.stdout + done.stderr
    files = [path for path in stage.home.rglob("*") if path.is_file()]
    assert [path for path in files if b"hf_canary" in path.read_bytes()] == []
    assert all(asked.authorization for asked in stage.hub.requests if asked.port == "hub")
    assert not any(asked.authorization for asked in stage.hub.requests if asked.port == "cdn")


SAID = {
    "a plan": ("{hub}", ["pull", REPO, "--dry-run"]),
    "a pull": ("{hub}", ["pull", REPO]),
    "no such repository": ("{hub}", ["pull", "user/nothing"]),
    "a search": ("{hub}", ["models", "search", "tiny"]),
    "the catalogue": ("http://me:hunter2@127.0.0.1:1", ["pull"]),
    "nobody there": ("http://me:hunter2@127.0.0.1:1", ["pull", REPO]),
    "an at sign in it": ("http://me:x@hunter2@127.0.0.1:1", ["pull", REPO]),
    "a slash in it": ("http://me:x/hunter2@127.0.0.1:1", ["pull", REPO]),
    "no address": ("http://me:hunter2@[::1", ["models", "search", "tiny"]),
    "no hub's scheme": ("ftp://me:hunter2@127.0.0.1", ["pull", REPO]),
    "no port": ("http://me:hunter2@127.0.0.1:99999", ["doctor"]),
}


@pytest.mark.parametrize(("endpoint", "words"), SAID.values(), ids=SAID)
def test_a_password_in_the_address_of_the_hub_is_not_printed(stage: Stage, endpoint: str, words: list[str]) -> None:
    said = endpoint.format(hub=stage.hub.endpoint.replace("://", "://me:hunter2@"))
    done = stage.run(*words, HF_ENDPOINT=said)
    assert done.out + done.err
    assert "hunter2" not in done.out + done.err
    files = [path for path in stage.home.rglob("*") if path.is_file()]
    assert [path for path in files if b"hunter2" in path.read_bytes()] == []
