"""The chat follows what the chosen model has to itself: sampling at once, the system prompt of new chats."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tests.tui.screen.chatting import MODEL, chatting, play

from llmchat_engine import ModelSpec, Spec
from llmchat_engine.testing import FakeEngine, Script


def test_another_model_brings_its_own_settings(home: Path) -> None:
    play(partial(_another_model, home))


async def _another_model(home: Path) -> None:
    specs = {name: ModelSpec(home / f"{name}.gguf") for name in ("", "calm")}
    own = {specs["calm"]: {"temperature": 0.1, "system": "Be calm."}}
    engine = FakeEngine((Script("one"), Script("two"), Script("three")), 0.0, MODEL)

    def options(spec: Spec) -> dict[str, object]:
        return dict(own.get(spec, {})) if isinstance(spec, ModelSpec) else {}

    async with chatting(home, engine=engine, make_spec=specs.__getitem__, own_options=options) as run:
        await run.say("first")
        assert engine.requests[-1].sampling.temperature is None
        run.app.use_model(specs["calm"])
        await run.say("second")
        first, second = engine.requests[0], engine.requests[-1]
        assert second.sampling.temperature == 0.1
        assert [message.role for message in first.messages] == ["user"]
        assert second.messages[0].role == "user", "a chat that has begun keeps its system prompt"
        await run.chat.show_new()
        run.app.use_model(specs[""])
        run.app.use_model(specs["calm"])
        await run.say("third")
        assert engine.requests[-1].messages[0].text == "Be calm."
