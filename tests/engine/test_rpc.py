"""Layers on other machines: what is refused before llama.cpp would end the process over it."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from llmchat_engine.client import LocalEngine
from llmchat_engine.errors import RemoteError, RequestInvalid
from llmchat_engine.host.llama import Llama
from llmchat_engine.host.rpc import add_servers
from llmchat_engine.launch import Places, socket_name
from llmchat_engine.types import ModelSpec


def library(*, rpc: bool = True) -> Llama:
    """Returns a library that knows of itself whether it has the backend, and has no other part."""
    return cast(Llama, SimpleNamespace(supports_rpc=lambda: rpc, ggml=lambda _: None))


def test_no_server_asks_for_nothing() -> None:
    add_servers(library(rpc=False), ())


def test_a_build_without_the_backend_says_how_to_get_one() -> None:
    with pytest.raises(RequestInvalid, match="layers cannot be put on other machines") as refused:
        add_servers(library(rpc=False), ("10.0.0.2:50052",))
    assert "GGML_RPC=on" in refused.value.hint


@pytest.mark.parametrize("server", ["nowhere", "host:", ":50052", "host:0", "host:70000", "host:x", "host:-1"])
def test_what_is_no_address(server: str) -> None:
    with pytest.raises(RequestInvalid, match="is no address of an RPC server") as refused:
        add_servers(library(), ("127.0.0.1:1", server))
    assert "HOST:PORT" in refused.value.hint


def test_a_server_that_is_not_there() -> None:
    with socket.socket() as taken:  # bound and not listening: nobody else can come to listen there
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(RemoteError, match=f"127.0.0.1:{port} does not answer") as refused:
            add_servers(library(), (f"127.0.0.1:{port}",))
    assert f"ggml-rpc-server -H 127.0.0.1 -p {port}" in refused.value.hint


def test_a_host_with_other_servers_is_another_host(tiny_chat: Path) -> None:
    spec = ModelSpec(tiny_chat)
    assert socket_name(spec) != socket_name(replace(spec, rpc_servers=("10.0.0.2:50052",)))


def test_the_servers_reach_the_host(places: Places, tiny_chat: Path) -> None:
    engine = LocalEngine(ModelSpec(tiny_chat, threads=1, rpc_servers=("nowhere",)), places, keepalive=0.0)
    try:
        with pytest.raises(RequestInvalid, match="'nowhere' is no address"):
            list(engine.load())
    finally:
        engine.close()
