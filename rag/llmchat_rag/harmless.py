"""Text of documents made harmless for a prompt, visibly: control tokens of chat templates and characters nobody sees.

Nothing is dropped without a trace: a reader sees that something stood there. Knows no passages and no model.
"""

from __future__ import annotations

import re

_NAMES = (
    "bos|eos|pad|unk|s|start_of_turn|end_of_turn|start_of_image|end_of_image|think|tool_call|tool_response|tools|tool"
    "|system|user|assistant|human|function|im_start|im_end|endoftext|begin_of_text|eot_id|fim_prefix|fim_middle"
    "|fim_suffix|sep|cls|mask|INST|SYS|TOOL_CALLS|AVAILABLE_TOOLS|TOOL_RESULTS|SYSTEM_PROMPT"
)
_CONTROL = re.compile(
    r"<\s*[|｜][^<>\n]{0,80}?[|｜]\s*>"  # <|im_start|>, <｜User｜>
    rf"|<\s*/?\s*(?:{_NAMES})\s*/?\s*>"  # </s>, <start_of_turn>, <think>
    r"|<<\s*/?\s*SYS\s*>>"
    rf"|\[\s*/?\s*(?:{_NAMES})\s*\]"  # [INST], [/INST]
    r"|<(?:extra_id|unused|reserved)_?\d+>|<0x[0-9A-Fa-f]{2}>",
    re.IGNORECASE,
)
_BRACKETS = str.maketrans({"<": "‹", ">": "›", "[": "⟦", "]": "⟧", "|": "¦", "｜": "¦"})
_HIDDEN = re.compile(
    "["
    "\u200b\u200e\u200f\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\ufffb\u180e\u3164\u115f\u1160"
    "\u202a-\u202e\u2066-\u2069"  # text that runs the other way
    "\x80-\x9f\ud800-\udfff"
    "\U000e0000-\U000e0fff"  # tags and variation selectors: a second text inside the first
    "]+"
)
_VISIBLE_CONTROLS = {code: 0x2400 + code for code in range(32) if code not in (9, 10, 13)} | {0x7F: 0x2421}


def harmless(text: str) -> str:
    """Returns the text with control tokens in other brackets, hidden characters as `�`, and plain line ends.

    Args:
        text: of a document, or a file's name.

    Returns:
        The same text where it held neither; what was returned once is returned unchanged.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").translate(_VISIBLE_CONTROLS)
    text = _HIDDEN.sub("�", text)
    return _CONTROL.sub(lambda found: found.group().translate(_BRACKETS), text)


def one_line(text: str) -> str:
    """Returns the text as one harmless line: a line end in a file's name cannot begin a line of its own."""
    return harmless(text).replace("\n", "␊").replace("\u2028", "␊").replace("\u2029", "␊").replace("\t", " ")
