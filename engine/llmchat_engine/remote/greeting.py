"""Who a server is: its kind, the model that is asked, what it tells of that. Asks; generates nothing."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import Any

import msgspec

from llmchat_engine.errors import EngineError, RemoteRefused
from llmchat_engine.remote.address import Address
from llmchat_engine.remote.faults import Faults, first_of, listed
from llmchat_engine.remote.http import Http, Refusal
from llmchat_engine.remote.patience import Patience
from llmchat_engine.remote.servers import LLAMA_SERVER, Server, server_of
from llmchat_engine.types import ModelInfo, RemoteSpec, Sampling


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a server said of itself."""

    server: Server
    model: str
    """The name it knows the model by."""
    info: ModelInfo
    models: tuple[str, ...]
    """All that it has; empty where it lists none."""


class _Meta(msgspec.Struct):
    n_ctx: Any = 0
    n_ctx_train: Any = 0
    n_params: Any = 0
    n_vocab: Any = 0
    size: Any = 0


class _Model(msgspec.Struct):
    id: str
    owned_by: Any = ""
    max_model_len: Any = 0
    context_length: Any = 0
    meta: _Meta | None = None


class _Models(msgspec.Struct):
    data: list[_Model] | None = None


def greet(spec: RemoteSpec, address: Address, http: Http) -> Greeting:
    """Returns who the server is.

    Raises:
        Refusal: it answers with a failure that may pass.
        RemoteError: it cannot be reached, or does not have the model.
    """
    models = _models(spec, address, http)
    names = tuple(model.id for model in models)
    chosen = _chosen(spec, address, models, names)
    server = server_of(str(chosen.owned_by))
    return Greeting(server, chosen.id, _info(spec, address, chosen, server, http), names)


def _models(spec: RemoteSpec, address: Address, http: Http) -> list[_Model]:
    try:
        told = http.ask(f"{address.base}/models", seconds=spec.timeout)  # some have it wait for a reply that runs
        return msgspec.convert(told, _Models).data or []
    except Refusal as refusal:
        if refusal.status in (404, 405, 501) and spec.model:  # some list none, and answer all the same
            return []
        raise
    except msgspec.ValidationError as error:
        if spec.model:
            return []
        why = "it lists no models in the way of the OpenAI API"
        raise RemoteRefused(
            f"{address.place} does not say which models it has", why, "name one: -m openai:MODEL"
        ) from error


def _chosen(spec: RemoteSpec, address: Address, models: list[_Model], names: tuple[str, ...]) -> _Model:
    """Returns the model that was named, or the only one."""
    if spec.model:
        found = next((model for model in models if spec.model in _names(model.id)), None)
        if found is None and models:
            raise RemoteRefused(f"{address.place} has no model {spec.model}", listed(names), first_of(names))
        return found or _Model(spec.model)
    if len(models) == 1:
        return models[0]
    if not models:
        raise RemoteRefused(f"{address.place} has no model", "its list of models is empty", "name one: -m openai:MODEL")
    raise RemoteRefused(f"{address.place} has several models", listed(names), first_of(names))


def _names(model: str) -> tuple[str, str, str]:
    """Returns what a model may be called: Ollama's tag for the newest one may be left out, and the way to a file."""
    return model, model.removesuffix(":latest"), short_name(model)


def _info(spec: RemoteSpec, address: Address, model: _Model, server: Server, http: Http) -> ModelInfo:
    meta = model.meta or _Meta()
    told = _number(model.max_model_len) or _number(meta.n_ctx) or _slot_context(address, server, http)
    n_ctx = told or spec.n_ctx or _number(model.context_length)
    identity = f"{address.base}\n{model.id}".encode()
    return ModelInfo(
        key=hashlib.sha256(identity).hexdigest(),
        name=short_name(model.id),
        path="",
        architecture="",
        quantization="",
        size=_number(meta.size),
        n_params=_number(meta.n_params),
        n_vocab=_number(meta.n_vocab),
        n_ctx=n_ctx,
        n_ctx_train=_number(meta.n_ctx_train) or n_ctx,
        threads=0,
        gpu_layers=0,
        devices=(),
        extra_buffers=False,
        template="model",
        template_key="",
        sampling=Sampling(),
        build=server.name,
        remote=address.place,
    )


def _slot_context(address: Address, server: Server, http: Http) -> int:
    """Returns the context of one request of an older llama-server, which does not tell it with the model."""
    if server is not LLAMA_SERVER:
        return 0
    try:
        props = http.ask(f"{address.root}/props")
        return _number(props["default_generation_settings"]["n_ctx"])
    except (EngineError, Refusal, KeyError, TypeError):
        return 0


def short_name(model: str) -> str:
    """Returns the name of a model in few words: of a file its name, of all else the whole."""
    name = model.replace("\\", "/").rpartition("/")[2] if model.endswith(".gguf") else model
    return name.removesuffix(".gguf")


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 2**63 else 0


def greet_patiently(spec: RemoteSpec, address: Address, http: Http, faults: Faults) -> Greeting:
    """Returns who the server is; one that is busy, or still loads its model, is asked again.

    Raises:
        RemoteError: it cannot be reached, refuses, or does not have the model.
    """
    patience = Patience(spec.timeout)
    while True:
        try:
            return greet(spec, address, http)
        except Refusal as refusal:
            seconds = patience.wait_for(refusal)
            if seconds is None:
                raise faults.of_status(refusal.status, refusal.location, refusal.said) from refusal
            time.sleep(seconds)
