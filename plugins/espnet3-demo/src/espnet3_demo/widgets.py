"""What a page shows for each kind of field, and how results get there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import gradio as gr
from espnet3_core.bundle.results import Result
from espnet3_core.config.roles import DemoConfig
from espnet3_core.errors import UserError
from espnet3_core.fields import FieldDeclaration
from gradio.components import Component as Widget

from espnet3_demo.timeline import segments_of, timeline

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def label_of(field: FieldDeclaration) -> str:
    """What the page calls a field."""
    name = field.name.replace("_", " ").capitalize()
    return f"{name}: {field.summary}" if field.summary else name


def input_widget(field: FieldDeclaration, demo: DemoConfig) -> Widget | None:
    """A widget that asks for a field; None for an optional one that a page cannot ask for.

    Raises:
        UserError: A page cannot ask for it, and the model needs it.
    """
    label = label_of(field)
    if field.kind == "audio":
        return gr.Audio(
            label=label,
            sources=["upload", "microphone"],
            type="filepath",
            buttons=["download"],
            elem_id=field.name,
        )
    if field.kind == "text":
        return gr.Textbox(label=label, lines=3, max_length=demo.max_characters, elem_id=field.name)
    if field.kind in ("label", "number"):
        # gr.Number shows and sends a zero that nobody typed.
        return gr.Textbox(label=label, max_length=demo.max_characters, elem_id=field.name)
    if field.optional:
        return None
    raise UserError(
        f"the model takes {field.name!r}, and a page cannot ask for {field.kind}",
        hint="write a page of your own, and name it in demo.page",
    )


def output_widget(field: FieldDeclaration) -> Widget:
    """A widget that shows a field."""
    label, name = label_of(field), field.name
    if field.kind == "audio":
        return gr.Audio(
            label=label, interactive=False, format="wav", buttons=["download"], elem_id=f"{name}-out"
        )
    if field.kind in ("text", "number"):
        lines = 2 if field.kind == "text" else 1
        return gr.Textbox(
            label=label, interactive=False, lines=lines, buttons=["copy"], elem_id=f"{name}-out"
        )
    if field.kind == "segments":
        return gr.HTML(label=label, show_label=True, container=True, elem_id=f"{name}-out")
    if field.kind == "label":
        return gr.Label(label=label, num_top_classes=5, elem_id=f"{name}-out")
    return gr.JSON(label=label, elem_id=f"{name}-out")


def shown(field: FieldDeclaration, result: Result) -> Any:
    """A result's field as its widget takes it; None when the model gave none."""
    if field.kind == "audio":
        return None if result.audio is None else (result.audio.sample_rate, _pcm(result.audio.samples))
    value = result.fields.get(field.name)
    if value is None:
        return None
    if field.kind == "segments":
        return timeline(segments_of(value), result.seconds)
    if field.kind == "label":
        return confidences(value)
    if field.kind == "number":
        return f"{float(value):.6g}"
    return value


def confidences(value: Any) -> str | dict[str, float]:
    """A label; with scores when they are probabilities, else the best one alone.

    >>> confidences({"yes": -1.5, "no": -0.25})
    'no'
    """
    if not isinstance(value, Mapping):
        return str(value)
    scores = {str(name): float(score) for name, score in value.items()}
    if all(0 <= score <= 1 for score in scores.values()):
        return scores
    return max(scores, key=scores.__getitem__)


def _pcm(samples: NDArray[Any]) -> NDArray[np.int16]:
    """16 bit, as browsers play it; what is beyond full scale is clipped."""
    import numpy as np

    return (np.clip(samples, -1.0, 1.0) * 32767).round().astype(np.int16)
