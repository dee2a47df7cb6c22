"""The process that owns the model: `python -m llmchat_engine.host SOCKET_FD SOCKET_PATH`.

A client starts it with an open listening socket; standard output and error are its log. The main thread runs the model,
a second one the sockets, a third one counts tokens meanwhile. It leaves by itself, and takes its socket file along.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
import resource
import signal
import socket
import sys
import threading
import time
import traceback

from llmchat_engine.host.llama import prepare_environment

_MOST_DESCRIPTORS = 1 << 16
_LAST_DECODE = 2.0
"""Seconds a stopped decode gets to end; a GPU ignores the abort flag until its batch is through."""
_LAST_WRITE = 6.0
"""Seconds that writing the chats to disk may take at the end."""


def main(arguments: list[str]) -> None:
    """Serves until nobody needs the host any more; never returns."""
    gc.disable()  # nothing that an import makes is garbage
    descriptor, path = int(arguments[0]), arguments[1]
    _settle(descriptor)
    listener = socket.socket(fileno=descriptor)
    own_file = os.stat(path).st_ino

    from llmchat_engine.host.counter import Counter
    from llmchat_engine.host.jobs import JobQueue
    from llmchat_engine.host.server import Server
    from llmchat_engine.host.worker import Worker, serve_all

    log = Log()
    counter, counts = Counter(), JobQueue(lambda _: None)
    worker = Worker(counter, counts, log)
    jobs = JobQueue(worker.abort)
    server = Server(listener, lambda: worker.info, worker.forget, log)

    def serve() -> None:
        try:
            log(f"leaving: {server.serve(jobs, counts)}")
        except Exception:  # the rim of the process: without its sockets it would stay for ever
            log(traceback.format_exc())
        # The name goes before the socket: a client that still gets in is refused, and finds no file that is ours.
        with contextlib.suppress(OSError):
            if os.stat(path).st_ino == own_file:
                os.unlink(os.path.splitext(path)[0] + ".pid")
                os.unlink(path)
        jobs.close()
        counts.close()
        finished.wait(_LAST_DECODE + _LAST_WRITE)
        # Freeing llama.cpp's buffers one by one can take seconds; the system takes them back at once.
        os._exit(0)

    finished = threading.Event()
    log("started")
    threading.Thread(target=serve, name="sockets", daemon=True).start()
    threading.Thread(target=serve_all, args=(counts, counter.serve, log), name="counts", daemon=True).start()
    worker.warm_up()
    gc.freeze()
    gc.enable()
    serve_all(jobs, worker.serve, log, worker)
    worker.finish(_LAST_WRITE)
    finished.set()
    threading.Event().wait()


class Log:
    """Writes lines to the log, up to a limit. Never text of a chat."""

    def __init__(self, limit: int = 1 << 20) -> None:
        self._left = limit

    def __call__(self, line: str) -> None:
        """Writes one line with its time and process."""
        self._left -= len(line)
        with contextlib.suppress(OSError):
            if self._left > 0:
                print(time.strftime("%Y-%m-%dT%H:%M:%S"), os.getpid(), line, file=sys.stderr, flush=True)


def _settle(listener: int) -> None:
    """Makes the process independent of the terminal, the directory and the open files it was started with."""
    # A lock or a pipe of the caller's shell must not stay open for as long as the model stays loaded.
    os.closerange(listener + 1, _MOST_DESCRIPTORS)
    with contextlib.suppress(OSError):
        os.setsid()
    os.umask(0o077)
    os.chdir("/")
    for name in (signal.SIGINT, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the chat
    faulthandler.enable()
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("500")
    prepare_environment()


if __name__ == "__main__":
    main(sys.argv[1:])
