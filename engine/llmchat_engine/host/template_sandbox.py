"""The closed room in which a template out of a model file runs: no way out, and no value that is too big.

Knows Jinja; knows no messages, no tokens and no clock. Every value that a template makes is weighed, because a clock
cannot stop C code: printing a list nested 40 times in itself took Python 15 s to fail.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from functools import wraps
from itertools import chain
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.filters import FILTERS
from jinja2.parser import Parser
from jinja2.runtime import Context, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

MAX_INTEGER_BITS = 4096
WORK_FACTOR = 64
"""The sizes of a call's arguments, multiplied, stay under this many times the room: `replace` and `indent` multiply."""

_WIDE = re.compile(r"[0-9]{5}|%[-+ #0-9.]*\*")
_FILTERS = (
    "abs capitalize count d default dictsort e escape first float indent int items join last length list lower map max "
    "min reject rejectattr replace reverse round safe select selectattr sort string sum title trim truncate unique "
    "upper wordcount"
)


class Refused(jinja2.TemplateRuntimeError):
    """The template called `raise_exception`: these messages are not what it was made for."""


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja as chat templates expect it (the extensions and filters of Transformers), with every value weighed.

    `room` is what a value may weigh in characters and items; the caller sets it before each rendering.
    """

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, room: int) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationTag, loopcontrols])
        self.room = room
        self.code_generator_class = _WeighingGenerator
        self.globals = {
            "range": self.globals["range"],
            "dict": dict,
            "namespace": _Namespace,
            "raise_exception": _refuse,
        }
        self.filters = {name: self._weighed(FILTERS[name]) for name in _FILTERS.split()}
        self.filters |= {"tojson": self._weighed(_to_json), "format": self._weighed(_format)}

    def kept(self, value: Any) -> Any:
        """Returns a value unless it outweighs the room.

        Raises:
            SecurityError: it does.
        """
        if _weight(value, {}) > self.room:
            raise SecurityError(f"it builds a value of more than {self.room:,} characters or items")
        return value

    def concat(self, parts: Iterable[str]) -> str:
        """Returns the parts as one text; Jinja joins every block, macro and rendering with it."""
        texts, size = [], 0
        for part in parts:
            size += len(part)
            if size > self.room:
                raise SecurityError(f"it writes more than {self.room:,} characters")
            texts.append(part)
        return "".join(texts)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Runs an operator if its result will be of a sane size."""
        if operator == "*":
            self._check_product(left, right)
        elif operator == "**":
            _check_power(left, right)
        elif operator == "%":
            _check_widths(left)
        return self.kept(super().call_binop(context, operator, left, right))

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        """Calls a function, a macro or a method.

        Arguments are weighed only where they become a value, `varargs` or `kwargs`: to weigh the messages at each
        `messages | length` of a loop over them would take 3 s for 1,000 of them.
        """
        if isinstance(__obj, Macro) and (__obj.catch_varargs or __obj.catch_kwargs):
            __self.kept((args, kwargs))
        owner = getattr(__obj, "__self__", None)
        __self._check_work((owner, *args, *kwargs.values()))
        return __self.kept(super().call(__context, __obj, *args, **kwargs))

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """Returns the sandboxed `str.format` where the value is one, if it asks for no huge width."""
        wrapper = super().wrap_str_format(value)
        if wrapper is not None:
            _check_widths(value.__self__)
        return wrapper

    def _weighed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            self._check_work((*args, *kwargs.values()))
            return self.kept(function(*args, **kwargs))

        return checked

    def _check_work(self, arguments: tuple[Any, ...]) -> None:
        work = 1
        for argument in arguments:
            work *= max(1, _extent(argument))
        if work > WORK_FACTOR * self.room:
            raise SecurityError("it asks for a value that is too big")

    def _check_product(self, left: Any, right: Any) -> None:
        if isinstance(left, int) and isinstance(right, int):
            if left.bit_length() + right.bit_length() > MAX_INTEGER_BITS:
                raise SecurityError("it multiplies numbers that are too big")
        elif _extent(left) * _extent(right) > self.room:
            raise SecurityError("it asks for a value that is too big")


class _GenerationTag(Extension):
    """Passes through the `{% generation %}` block, with which training marks the replies."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> list[nodes.Node]:
        parser.stream.skip(1)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _WeighingGenerator(CodeGenerator):
    """Compiles what makes values without a call (`[a]`, `(a,)`, `{a: b}`, `a ~ b`) so that it is weighed too."""

    def visit_List(self, node: nodes.List, frame: Frame) -> None:  # noqa: N802
        self._weighed(super().visit_List, node, frame)

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:  # noqa: N802
        self._weighed(super().visit_Dict, node, frame)

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802
        self._weighed(super().visit_Concat, node, frame)

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:  # noqa: N802
        if node.ctx == "load":
            self._weighed(super().visit_Tuple, node, frame)
        else:
            super().visit_Tuple(node, frame)

    def _weighed(self, visit: Callable[..., None], node: nodes.Expr, frame: Frame) -> None:
        self.write("environment.kept(")
        visit(node, frame)
        self.write(")")


class _Namespace(Namespace):
    """A namespace that does not print what is in it: it is the one value that can grow after it was weighed."""

    def __repr__(self) -> str:
        return "<namespace>"


def _weight(value: Any, known: dict[int, int]) -> int:
    """Returns how many characters and items a value has, shared parts counted each time they would be printed."""
    if isinstance(value, str | bytes):
        return len(value)
    if not isinstance(value, list | tuple | dict):
        return 1
    if id(value) not in known:
        parts = chain(value.keys(), value.values()) if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_weight(part, known) for part in parts)
    return known[id(value)]


def _extent(value: Any) -> int:
    """Returns the factor by which an argument can multiply work."""
    if isinstance(value, int):
        return abs(value)
    return len(value) if isinstance(value, str | bytes | list | tuple | dict) else 1


def _check_power(left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() * abs(right) > MAX_INTEGER_BITS:
        raise SecurityError("it raises a number to a power that is too big")


def _check_widths(text: Any) -> None:
    if isinstance(text, str) and _WIDE.search(text):
        raise SecurityError("it formats to a width that is too big")


def _format(text: Any, *args: Any, **kwargs: Any) -> str:
    _check_widths(str(text))
    return str(text) % (kwargs or args)


def _refuse(message: object = "") -> None:
    raise Refused(str(message))


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Returns JSON as Transformers writes it: no escapes for HTML, non-ASCII characters as they are."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
