"""Templates written to hang, to eat memory or to break out: each ends soon, in harmless text or in `TemplateError`."""

from __future__ import annotations

import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import FrameType
from typing import TypeVar

import pytest

from llmchat_engine.errors import TemplateError
from llmchat_engine.host.template import ChatTemplate, Limits
from llmchat_engine.host.template_limits import bounded
from llmchat_engine.types import Message

MESSAGES = (Message("user", "Hello"),)
TIGHT = Limits(seconds=0.2, memory=128 << 20)
PATIENT = replace(TIGHT, seconds=30.0)
"""On a busy machine what is refused for another reason can take longer than the time of the others."""
SECRETS = ("<class", "<function", "<module", "built-in", "object at 0x", "__builtins__", "uid=", "root:")
NS = "{% set ns = namespace(v='aaaaaaaa', l=[1], n=3) %}"

HOSTILE = {
    # time
    "nested ranges": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "six loops": "{% for a in range(999) %}" * 6 + "x" + "{% endfor %}" * 6,
    "loop over text": "{% for a in range(99999) %}{% for b in ns.v * 9999 %}{% endfor %}{% endfor %}",
    "endless writing": "{% for a in range(99999) %}{% for b in range(99999) %}{{ b }}{% endfor %}{% endfor %}",
    "slow macro": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "filter in a loop": "{% for a in range(99999) %}{% set x = range(99999) | sort | list %}{% endfor %}",
    "map in map": "{{ range(99999) | map('string') | map('length') | sum }}" * 300,
    "sort of a sum": "{% for a in range(99999) %}{% set x = range(99999) | sum %}{% endfor %}",
    # recursion
    "macro": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "recursive loop": "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "caller": "{% macro m() %}{% call m() %}{% endcall %}{% endmacro %}{{ m() }}",
    "block in itself": "{% block b %}{{ self.b() }}{% endblock %}",
    "5,000 parens": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "5,000 brackets": "{{ " + "[" * 5000 + "]" * 5000 + " }}",
    "150 parens": "{{ " + "(1 + " * 150 + "1" + ")" * 150 + " }}",
    "5,000 nots": "{{ " + "not " * 5000 + "1 }}",
    "30 loops": "{% for a in range(2) %}" * 30 + "{% endfor %}" * 30,
    "200 ifs": "{% if 1 %}" * 200 + "{% endif %}" * 200,
    "5,000 elifs": "{% if 0 %}" + "{% elif 0 %}" * 5000 + "{% endif %}",
    "20,000 sums": "{{ 1" + " + 1" * 20000 + " }}",
    # memory, in one step
    "text times number": "{{ 'a' * 10**10 }}",
    "list times number": "{{ [0] * 10**10 }}",
    "number times text": "{{ 10000000000 * 'ab' }}",
    "center filter": "{{ 'a' | center(10000000000) }}",
    "center": "{{ 'a'.center(10000000000) }}",
    "ljust": "{{ 'a'.ljust(10000000000) }}",
    "zfill": "{{ 'a'.zfill(10000000000) }}",
    "expandtabs": "{{ '\t\t\t'.expandtabs(1000000000) }}",
    "indent": "{{ 'a\na' | indent(10000000000) }}",
    "tojson indent": "{{ [1, 2] | tojson(indent=10000000000) }}",
    "round": "{{ 1 | round(1000000000) }}",
    "format filter": "{{ '%10000000000d' | format(1) }}",
    "format star": "{{ '%*d' | format(1000000000, 1) }}",
    "percent": "{{ '%10000000000d' % 1 }}",
    "percent star": "{{ '%*d' % (1000000000, 1) }}",
    "str.format": "{{ '{:10000000000}'.format(1) }}",
    "str.format nested": "{{ '{:{}}'.format(1, 10000000000) }}",
    "format_map": "{{ '{a:10000000000}'.format_map({'a': 1}) }}",
    "big range": "{{ range(10**9) | list }}",
    "lipsum": "{{ lipsum(n=100000000) }}",
    "power": "{{ 9 ** (9 ** 9) }}",
    "power tower": "{{ 9 ** 9 ** 9 ** 9 }}",
    "float power": "{{ 9.9 ** 999999 }}",
    "strftime": "{{ strftime_now('%1000000000Y') }}",
    "fromkeys": "{{ {}.fromkeys(range(99999), 'x' * 999) }}",
    # memory, by doubling
    "plus": NS + "{% for i in range(60) %}{% set ns.v = ns.v + ns.v %}{% endfor %}{{ ns.v }}",
    "tilde": NS + "{% for i in range(60) %}{% set ns.v = ns.v ~ ns.v %}{% endfor %}{{ ns.v }}",
    "format doubling": NS + "{% for i in range(60) %}{% set ns.v = '%s%s' % (ns.v, ns.v) %}{% endfor %}",
    "block set": NS
    + "{% for i in range(60) %}{% set x %}{{ ns.v }}{{ ns.v }}{% endset %}{% set ns.v = x %}{% endfor %}",
    "join": NS + "{% for i in range(60) %}{% set ns.v = [ns.v, ns.v] | join %}{% endfor %}",
    "replace": NS + "{% for i in range(60) %}{% set ns.v = ns.v | replace('a', ns.v) %}{% endfor %}",
    "replace method": NS + "{% for i in range(60) %}{% set ns.v = ns.v.replace('a', ns.v) %}{% endfor %}",
    "squares": NS + "{% for i in range(60) %}{% set ns.n = ns.n * ns.n %}{% endfor %}{{ ns.n }}",
    "nested lists": NS + "{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l | string }}",
    "nested json": NS + "{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l | tojson }}",
    "nested tuples": NS + "{% for i in range(60) %}{% set ns.l = (ns.l, ns.l) %}{% endfor %}{{ ns.l }}",
    "nested dicts": NS + "{% for i in range(60) %}{% set ns.l = {1: ns.l, 2: ns.l} %}{% endfor %}{{ ns.l }}",
    "dict call": NS + "{% for i in range(60) %}{% set ns.l = dict(a=ns.l, b=ns.l) %}{% endfor %}{{ ns.l }}",
    "varargs": NS
    + "{% macro m() %}{% set ns.l = varargs %}{% endmacro %}"
    + "{% for i in range(60) %}{{ m(ns.l, ns.l) }}{% endfor %}{{ ns.l }}",
    "namespaces": "{% set ns = namespace(v=1) %}{% for i in range(60) %}{% set ns.v = namespace(a=ns.v, b=ns.v) %}"
    + "{% endfor %}{{ ns.v }}",
    "namespace in itself": "{% set ns = namespace(v=1) %}{% set ns.v = ns %}{{ ns }}",
    "comparison": "{% set ns = namespace(a=[1], b=[1]) %}{% for i in range(60) %}{% set ns.a = [ns.a, ns.a] %}"
    + "{% set ns.b = [ns.b, ns.b] %}{% endfor %}{{ ns.a == ns.b }}",
    # out of the room
    "str class": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "getitem class": "{{ ''['__class__'] }}",
    "attr filter": "{{ '' | attr('__class__') }}",
    "map attribute": "{{ [''] | map(attribute='__class__') | list }}",
    "lipsum globals": "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "cycler init": "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "joiner init": "{{ joiner.__init__.__globals__.os }}",
    "namespace init": "{{ namespace.__init__.__globals__ }}",
    "raise_exception globals": "{{ raise_exception.__globals__ }}",
    "range class": "{{ range.__class__ }}",
    "strftime self": "{{ strftime_now.__self__.__class__ }}",
    "format attribute": "{{ '{0.__class__}'.format(1) }}",
    "format globals": "{{ '{0.__globals__}'.format(raise_exception) }}",
    "self": "{{ self.__init__.__globals__ }}",
    "self context": "{{ self._TemplateReference__context }}",
    "loop": "{% for a in [1] %}{{ loop.__init__.__globals__ }}{% endfor %}",
    "macro function": "{% macro m() %}{% endmacro %}{{ m._func.__globals__ }}",
    "generator frame": "{{ (messages | map('string')).gi_frame.f_globals }}",
    "mutation": "{{ messages.append(messages) }}{{ messages }}",
    "include": "{% include '/etc/passwd' %}",
    "import": "{% import 'os' as os %}{{ os }}",
    "extends": "{% extends '/etc/passwd' %}",
    # simply broken
    "syntax": "{% for %}",
    "no end": "{% for a in b %}",
    "undefined call": "{{ nothing() }}",
    "undefined filter": "{{ 1 | nothing }}",
    "undefined attribute": "{{ nothing.at.all }}",
    "division": "{{ 1 / 0 }}",
    "types": "{{ 1 + 'a' }}",
    "index": "{{ 'a'.index('b') }}",
    "bad format": "{{ '%d' % 'a' }}",
    "bad json": "{{ range | tojson }}",
    "raise": "{{ raise_exception('not for you') }}",
    "surrogates": "{{ '\\ud800' }}{{ messages }}",
    "too long": "x" * 300_000,
    "250,000 blanks": " " * 250_000 + "{{ 1 }}",
    "many braces": "{{" * 60_000,
    "many comments": "{#" * 60_000,
    "many lines": "{% set x = 1 %}\n" * 15_000,
}


def outcome(source: str, limits: Limits = TIGHT) -> str | TemplateError:
    """Returns what a template writes, or how it fails."""
    try:
        return ChatTemplate(source, bos="", eos="", model_key="", limits=limits).render(MESSAGES).text
    except TemplateError as error:
        return error


# Where the alarm rings inside a callback of C code, Python drops the exception with a warning; it rings again.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", HOSTILE)
def test_ends_soon_and_lets_nothing_out(name: str) -> None:
    began = time.perf_counter()
    # The question at the end makes the output one that is taken, so that it can be looked at.
    result = outcome(HOSTILE[name] + "{{ messages[0].content }}")
    assert time.perf_counter() - began < 2.5
    if isinstance(result, TemplateError):
        assert result.what
        assert result.why
        assert "--raw" in result.hint
    else:
        assert len(result) < 2 << 20
        assert not any(secret in result for secret in SECRETS)


def test_says_which_limit_it_was() -> None:
    names = ("plus", "5,000 parens", "endless writing", "raise")
    reasons = [outcome(HOSTILE["nested ranges"]), *(outcome(HOSTILE[name], PATIENT) for name in names)]
    assert [str(reason).partition(" — ")[2] for reason in reasons] == [
        "it ran for more than 0.2 s",
        "it builds a value of more than 1,048,724 characters or items",
        "it is nested too deeply",
        "it writes more than 1,048,724 characters",
        "not for you",
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS is only held on Linux")
def test_the_memory_limit_holds_where_nothing_is_weighed() -> None:
    with pytest.raises(MemoryError), bounded(TIGHT):
        bytearray(2 * TIGHT.memory)


def test_puts_back_the_timer_the_handler_and_the_memory_limit() -> None:
    rings: list[int] = []

    def ring(number: int, _frame: FrameType | None) -> None:
        rings.append(number)

    before_handler = signal.signal(signal.SIGALRM, ring)
    before_timer = signal.setitimer(signal.ITIMER_REAL, 50.0, 7.0)
    memory = resource.getrlimit(resource.RLIMIT_AS)
    try:
        with pytest.raises(TemplateError):
            ChatTemplate(HOSTILE["nested ranges"], bos="", eos="", model_key="", limits=TIGHT).render(MESSAGES)
        delay, interval = signal.getitimer(signal.ITIMER_REAL)
        assert signal.getsignal(signal.SIGALRM) is ring
        assert 45 < delay < 50 - TIGHT.seconds + 0.1
        assert interval == pytest.approx(7.0)
        assert resource.getrlimit(resource.RLIMIT_AS) == memory
        assert rings == []
    finally:
        signal.signal(signal.SIGALRM, before_handler)
        signal.setitimer(signal.ITIMER_REAL, *before_timer)


Result = TypeVar("Result")


def elsewhere(work: Callable[[], Result]) -> Result:
    """Returns what work returns on a thread that is not the main one."""
    results: list[Result] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join()
    return results[0]


def test_renders_on_another_thread_too() -> None:
    assert elsewhere(lambda: outcome("{{ messages[0].content }}!")) == "Hello!"


@pytest.mark.parametrize("name", ["nested ranges", "endless writing", "slow macro", "map in map", "plus", "macro"])
def test_ends_soon_on_another_thread_too(name: str) -> None:
    def timed() -> tuple[str | TemplateError, float]:
        began = time.perf_counter()
        return outcome(HOSTILE[name] + "{{ messages[0].content }}"), time.perf_counter() - began

    result, seconds = elsewhere(timed)
    assert isinstance(result, TemplateError)
    assert seconds < 2.5


def test_a_watched_thread_hears_nothing_after_its_rendering() -> None:
    def render_and_go_on() -> str:
        said = str(outcome(HOSTILE["nested ranges"]))
        for _ in range(20_000):
            time.sleep(0)
        return said

    threads = threading.active_count()
    assert elsewhere(render_and_go_on).endswith("it ran for more than 0.2 s")
    assert threading.active_count() == threads


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system does not tell how much memory is in use")
def test_the_memory_of_another_thread_is_watched_and_no_other_limited() -> None:
    def grow() -> str:
        hoard = []
        try:
            with bounded(Limits(seconds=30.0, memory=64 << 20)):
                assert resource.getrlimit(resource.RLIMIT_AS) == before
                while True:
                    hoard.append(bytes(range(256)) * 4096)
        except MemoryError:
            return "stopped"

    before = resource.getrlimit(resource.RLIMIT_AS)
    assert elsewhere(grow) == "stopped"


def test_a_rendering_here_and_one_elsewhere_do_not_stop_each_other() -> None:
    ended = threading.Event()

    def render_on() -> list[str | TemplateError]:
        return [outcome("{{ messages[0].content }}") for _ in iter(ended.is_set, True)]

    with ThreadPoolExecutor(1) as pool:
        others = pool.submit(render_on)
        hostile = [str(outcome(HOSTILE[name])) for name in ("nested ranges", "plus", "nested ranges")]
        ended.set()
        assert set(map(str, others.result())) == {"Hello"}
    assert [text.partition(" — ")[2][:12] for text in hostile] == ["it ran for m", "it builds a ", "it ran for m"]


def test_a_long_question_may_make_a_long_prompt() -> None:
    question = "word " * 1_000_000
    source = "{% macro m(t) %}{{ t }}{% endmacro %}{{ '<' + m(messages[0].content) ~ '>' }}"
    prompt = ChatTemplate(source, bos="", eos="", model_key="", limits=TIGHT).render([Message("user", question)])
    assert prompt.text == f"<{question}>"
