"""Where the program begins: `llmchat`, and `python -m llmchat_tui`.

A Ctrl+C before the commands have their own handlers ends the process quietly, not with a traceback of an import.
Nothing that an import makes is garbage: collecting meanwhile costs 5 to 10 of 60 ms.
"""

import gc
import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)
gc.disable()

from llmchat_tui.cli import main  # noqa: E402

if __name__ == "__main__":
    main()
