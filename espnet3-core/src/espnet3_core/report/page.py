"""The page: sections in order, with style and script inside, and nothing fetched from anywhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

from espnet3_core.errors import UserError
from espnet3_core.files import atomic_write_text
from espnet3_core.report.evidence import Evidence
from espnet3_core.report.html import Markup, h, join
from espnet3_core.report.media import AUDIO_SECONDS, LIMIT
from espnet3_core.report.sections.checkpoints import checkpoints
from espnet3_core.report.sections.configuration import configuration
from espnet3_core.report.sections.glance import glance
from espnet3_core.report.sections.pictures import pictures
from espnet3_core.report.sections.scores import scores
from espnet3_core.report.sections.timing import timing
from espnet3_core.report.sections.training import training
from espnet3_core.report.sections.utterances import utterances
from espnet3_core.report.sections.versions import versions

MARK = '<meta name="generator" content="espnet3 report">'
"""In every page, and so what tells a page from a file of somebody's."""

_HEAD = 2048
"""Bytes within which the mark stands."""

SECTIONS: tuple[tuple[str, str, Callable[[Evidence], Iterator[Markup]]], ...] = (
    ("glance", "At a glance", glance),
    ("scores", "Scores", scores),
    ("training", "Training", training),
    ("utterances", "Worst utterances", utterances),
    ("pictures", "Pictures of validation", pictures),
    ("time", "Time", timing),
    ("checkpoints", "Checkpoints", checkpoints),
    ("configuration", "Configuration", configuration),
    ("versions", "Versions", versions),
)


def write_page(evidence: Evidence, path: Path) -> int:
    """Write the page of an experiment; returns its size in bytes.

    Raises:
        UserError: Another file stands there, or the disk is full or read-only.
    """
    refuse_other(path)
    text = page(evidence)
    atomic_write_text(path, text)
    return len(text.encode("utf-8"))


def refuse_other(path: Path) -> None:
    """Make sure that only a page of ours is overwritten.

    Raises:
        UserError: Something else is in the way.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder", hint=f"-o {path / 'report.html'}")
    if not path.exists():
        return
    with path.open("rb") as stream:
        if MARK.encode() not in stream.read(_HEAD):
            raise UserError(
                f"{path} exists already and is no page of espnet3 report; nothing is overwritten",
                hint="choose another name with -o, or remove it",
            )


def page(evidence: Evidence) -> str:
    """The page as HTML."""
    experiment = evidence.place.experiment
    bodies = [(name, title, join(section(evidence))) for name, title, section in SECTIONS]
    shown = [(name, title, body) for name, title, body in bodies if body]
    style, script = (
        Markup(files(__package__).joinpath(name).read_text("utf-8")) for name in ("page.css", "page.js")
    )
    recipe = experiment.directory.parents[1].name if evidence.place.recipe else ""
    task = experiment.directory.parents[2].name if recipe else ""
    head = h(
        "head",
        h("meta", charset="utf-8"),
        Markup(MARK),
        h("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        h("meta", name="viewport", content="width=device-width, initial-scale=1"),
        h("meta", name="color-scheme", content="light dark"),
        h("title", f"{experiment.tag}: report of {task}/{recipe}" if recipe else f"{experiment.tag}: report"),
        h("style", style),
    )
    top = h(
        "header",
        h("p", f"{task}/{recipe}" if recipe else "experiment", class_="kicker"),
        h("h1", experiment.tag),
        h("nav", [h("a", title, href=f"#{name}") for name, title, _ in shown], aria_label="sections"),
    )
    main = h(
        "main",
        [h("section", h("h2", title), body, id=name) for name, title, body in shown],
    )
    body = h("body", top, main, _foot(evidence), h("script", script))
    return f"<!DOCTYPE html>\n{h('html', head, body, lang='en')}\n"


def _policy(style: str, script: str) -> str:
    """The page may use what stands in it, and load nothing."""
    digests = [
        base64.b64encode(hashlib.sha256(part.encode("utf-8")).digest()).decode() for part in (style, script)
    ]
    return (
        "default-src 'none'; img-src data:; media-src data:; "
        f"style-src 'sha256-{digests[0]}'; script-src 'sha256-{digests[1]}'"
    )


def _foot(evidence: Evidence) -> Markup:
    media = evidence.media
    said = (
        f"Audio of the first {media.audio} utterances of each test set, of each at most {AUDIO_SECONDS:g} s; "
        f"audio and pictures take {media.used / 2**20:.1f} of at most {LIMIT // 2**20} MiB"
    )
    left = f", and {media.left_out} did not fit" if media.left_out else ""
    counted = "Epochs and batches are counted from 0; the marks above charts stand where epochs end."
    return h("footer", h("p", f"Written by espnet3 report. {said}{left}. {counted}"))
