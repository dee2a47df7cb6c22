"""llmchat's end of llama.cpp's RPC backend: other machines become devices that layers can be put on.

The servers are llama.cpp's own and ask nobody who he is. Knows the library's names for that; no model and no request.
"""

from __future__ import annotations

import ctypes
import socket
from collections.abc import Iterable
from typing import Any

from llmchat_engine.errors import RemoteError, RequestInvalid
from llmchat_engine.host.llama import Llama

_SECONDS = 5.0
"""How long a server may take to answer the door; llama.cpp ends the process where it does not answer at all."""


def add_servers(llama: Llama, servers: Iterable[str]) -> None:
    """Makes devices of servers, before a model is loaded.

    Args:
        llama: The library.
        servers: Each as "HOST:PORT".

    Raises:
        RequestInvalid: this build has no such backend, or one of them is no address.
        RemoteError: one of them does not answer.
    """
    if not (addresses := [_address(server) for server in servers]):
        return
    if not llama.supports_rpc():
        what = "layers cannot be put on other machines"
        hint = "build it with CMAKE_ARGS=-DGGML_RPC=on as docs/install.md tells, or llmchat config unset rpc_servers"
        raise RequestInvalid(what, "this build of llama.cpp has no RPC backend", hint)
    for host, port in addresses:
        _knock(host, port)
    for host, port in addresses:
        _add(llama, f"{host}:{port}")


def _address(server: str) -> tuple[str, int]:
    """Returns host and port."""
    host, _, port = server.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        hint = "write rpc_servers as HOST:PORT, several with commas between: 10.0.0.2:50052,10.0.0.3:50052"
        raise RequestInvalid(f"{server!r} is no address of an RPC server", "it needs a host and a port", hint)
    return host, int(port)


def _knock(host: str, port: int) -> None:
    try:
        socket.create_connection((host, port), _SECONDS).close()
    except OSError as error:
        why = error.strerror or str(error)
        hint = f"start it there: ggml-rpc-server -H {host} -p {port}, or llmchat config unset rpc_servers"
        raise RemoteError(f"the RPC server {host}:{port} does not answer", why, hint) from error


def _add(llama: Llama, endpoint: str) -> None:
    """Registers a server's devices, as llama.cpp's own programs do."""
    ggml, base = llama.ggml("ggml"), llama.ggml("ggml-base")
    added = _adder(ggml, base)(endpoint.encode()) if ggml and base else None
    if not ggml or not added:
        raise RemoteError(f"the RPC server {endpoint} has no device", "it answered, and offers none")
    ggml.ggml_backend_register.argtypes = [ctypes.c_void_p]
    ggml.ggml_backend_register(added)


def _adder(ggml: ctypes.CDLL, base: ctypes.CDLL) -> Any:
    """Returns ggml_backend_rpc_add_server, which only the backend itself tells the place of."""
    ggml.ggml_backend_reg_by_name.restype, ggml.ggml_backend_reg_by_name.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    base.ggml_backend_reg_get_proc_address.restype = ctypes.c_void_p
    base.ggml_backend_reg_get_proc_address.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    backend = ggml.ggml_backend_reg_by_name(b"RPC")
    place = base.ggml_backend_reg_get_proc_address(backend, b"ggml_backend_rpc_add_server")
    return ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p)(place)
