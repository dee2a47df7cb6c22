"""Messages (EML) to subject, people and body. Attachments are named and not opened."""

from __future__ import annotations

from email import policy
from email.errors import MessageError
from email.message import EmailMessage
from email.parser import BytesParser

from llmchat_rag.blocks import Builder, normalised, paragraphs
from llmchat_rag.errors import NothingToRead, ParseError
from llmchat_rag.parse.web import emit
from llmchat_rag.types import Parsed

NAME, VERSION = "mail", 1

_SHOWN = ("From", "To", "Cc", "Date")
_BROKEN = (MessageError, LookupError, ValueError, AttributeError, IndexError, TypeError)
"""What the standard library raises for headers it does not understand."""


def parse(name: str, data: bytes) -> Parsed:
    """Returns a message.

    Raises:
        ParseError: it is none.
    """
    del name
    if not data.strip():
        raise NothingToRead("it is empty")
    message = BytesParser(EmailMessage, policy=policy.default).parsebytes(data)
    if not message.keys():
        raise ParseError("it has no headers of a message")
    builder = Builder()
    subject = _header(message, "Subject")
    builder.add("heading", subject, level=1)
    builder.add("paragraph", "\n".join(f"{key}: {value}" for key in _SHOWN if (value := _header(message, key))))
    _add_body(builder, message)
    names = _attachments(message)
    builder.add("paragraph", f"Attachments: {', '.join(names)}" if names else "")
    return builder.parsed(NAME, VERSION, subject)


def _header(message: EmailMessage, key: str) -> str:
    try:
        return " ".join(str(message.get(key, "")).split())
    except _BROKEN:
        return ""


def _add_body(builder: Builder, message: EmailMessage) -> None:
    try:
        body = message.get_body(preferencelist=("plain", "html"))
        content = body.get_content() if body is not None else ""
    except _BROKEN as error:
        raise ParseError("its body cannot be decoded") from error
    if not isinstance(content, str):
        return
    if body is not None and body.get_content_type() == "text/html":
        emit(normalised(content), builder)
        return
    text = normalised(content).strip("\n")
    builder.add_blocks(text, paragraphs(text))


def _attachments(message: EmailMessage) -> list[str]:
    try:
        return [name for part in message.iter_attachments() if (name := part.get_filename())][:50]
    except _BROKEN:
        return []
