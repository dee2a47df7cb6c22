"""A reply is scored by its ids behind the prompt that it was drawn from, whatever it was forced to say and think."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.engine.thinkers import OpenThinker, asked

from llmchat_engine.events import Finished, Scored, Token
from llmchat_engine.protocol import Score
from llmchat_engine.types import new_request_id

SCRIPTS = {
    "qwen3": "<think>hm</think>\n\nFar.<|im_end|>",
    "r1": "hm</think>\n\nFar.<|im_end|>",
    "gpt-oss": "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>Far.<|return|>",
}


@pytest.mark.parametrize("kind", sorted(SCRIPTS))
@pytest.mark.parametrize("more", [{}, {"think": "on"}, {"think": "off"}, {"think_budget": 1}], ids=str)
def test_its_tokens_have_the_probabilities_that_they_had(
    kind: str, more: dict[str, object], open_thinker: OpenThinker
) -> None:
    thinker = open_thinker(kind)
    request = replace(asked(chat="a"), logprobs=3, **more)  # type: ignore[arg-type]
    script = SCRIPTS[kind]
    if more.get("think") == "off" or (more.get("think") == "on" and kind == "qwen3"):
        script = script.removeprefix("<think>") if more["think"] == "on" else "Far." + script[script.rindex("<|") :]
    if "think_budget" in more:
        script = script.replace("hm", "h", 1).replace("</think>\n\n", "", 1)
        script = script.replace("<|end|><|start|>assistant<|channel|>final<|message|>", "", 1)
    events = thinker.events(request, script)
    told = [one for event in events if isinstance(event, Token) for one in event.logprobs]
    (finished,) = (event for event in events if isinstance(event, Finished))
    order = Score(replace(request, id=new_request_id()), (finished.token_ids,))
    (found,) = (event for event in thinker.serve(order) if isinstance(event, Scored))
    assert found.prompt_tokens == finished.prompt_tokens
    scored = found.scores[0].tokens
    assert tuple(token.id for token in scored) == finished.token_ids
    assert [token.id for token in told] == [token.id for token in scored]
    assert all(abs(one.logprob - two.logprob) < 0.01 for one, two in zip(told, scored, strict=True))
