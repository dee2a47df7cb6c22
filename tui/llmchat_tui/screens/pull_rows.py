"""The rows of downloads in the list of models: a bar with rate and time left, or how it ended. Pure functions."""

from __future__ import annotations

from dataclasses import replace

from textual.content import Content

from llmchat_tui.progress_words import amount_told, shortened
from llmchat_tui.pulls import Job
from llmchat_tui.sanitize import sanitize_line
from llmchat_tui.screens.model_rows import below, cut

_WORDS = {
    "waits": "waiting",
    "runs": "pulling",
    "tries": "trying",
    "stops": "stopping",
    "done": "here",
    "failed": "failed",
    "stopped": "stopped",
}
_LABEL = max(map(len, _WORDS.values()))
_MARK = 2


def pull_row(job: Job, width: int, resume: str) -> Content:
    """Returns the row of a download: one line where its name and its numbers fit, else two.

    Args:
        job: the download.
        width: of the list.
        resume: what goes on with one that was stopped: a key, or words.
    """
    told, style = _told(job, resume)
    name, label = sanitize_line(job.name), f"{_WORDS[job.state]:<{_LABEL}}  "
    head = ("  ", (label, style if job.state == "failed" else ""))
    room = width - _MARK - len(label)
    if job.state == "failed":
        return Content.assemble(*head, shortened(name, max(1, room)), (below(told, width), style))
    if len(name) + 3 + len(told) <= room:
        return Content.assemble(*head, name, (f"   {told}" if told else "", style))
    return Content.assemble(*head, shortened(name, max(1, room)), (f"\n  {cut(told, max(1, width - _MARK))}", style))


def _told(job: Job, resume: str) -> tuple[str, str]:
    """Returns what stands behind the name, and its style."""
    progress = job.progress
    match job.state:
        case "waits" | "stops":
            return "", "$text-muted"
        case "tries":
            return "loading it once, to see that it can be used", "$text-muted"
        case "stopped":
            amount = f"{amount_told(replace(progress, rate=0.0))} · " if progress else ""
            return f"{amount}{resume} goes on", "$text-warning"
        case "failed":
            return f"{job.problem}   {job.hint}".rstrip(), "$text-error"
        case _ if progress is None:
            return "asking the hub", "$text-muted"
        case _ if progress.stage != "downloading":
            return f"{sanitize_line(progress.stage)} {amount_told(progress)}".strip(), "$text-muted"
        case _:
            return amount_told(progress), "$text-muted"
