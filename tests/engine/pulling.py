"""A program that pulls every model file of a repository, for tests that kill it: `python -m tests.engine.pulling`.

Takes the models directory and the repository; the hub is the one of the environment. Prints each stage as it comes,
then how many bytes it fetched. A failure ends it with a traceback, as `--debug` shows it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from llmchat_engine.models.hub.client import Hub
from llmchat_engine.models.hub.download import Patience
from llmchat_engine.models.hub.pull import pull
from llmchat_engine.models.hub.types import Reference

ROOT = Path(__file__).parents[2]
PATIENCE = Patience(stall=60.0, tries=3, first_wait=0.01, tick=0.05)


def start(models_dir: Path, repo: str, environ: Mapping[str, str]) -> subprocess.Popen[str]:
    """Starts it."""
    clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    paths = {"PYTHONPATH": os.pathsep.join(str(ROOT / room) for room in ("engine", "."))}
    command = [sys.executable, "-m", "tests.engine.pulling", str(models_dir), repo]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env={**clean, **environ, **paths})


def main() -> None:
    """Pulls."""
    hub = Hub(os.environ)
    repo = hub.repo(Reference(sys.argv[2]))
    work = pull(hub, repo, [file for file in repo.files if file.sha256], Path(sys.argv[1]), PATIENCE)
    stage = ""
    while True:
        try:
            progress = next(work)
        except StopIteration as end:
            print("done", end.value.fetched, end.value.waited, flush=True)
            return
        if progress.stage != stage:
            stage = progress.stage
            print(stage, flush=True)


if __name__ == "__main__":
    main()
