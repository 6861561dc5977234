"""A page made from what a bundle declares."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from espnet3_core.config.roles import DemoConfig
from espnet3_core.errors import UserError
from espnet3_core.fields import FieldDeclaration

from espnet3_demo.inputs import read
from espnet3_demo.widgets import input_widget, output_widget, shown

if TYPE_CHECKING:
    from espnet3_core.bundle.model import LoadedModel

_log = logging.getLogger(__name__)
TEXT = FieldDeclaration("text", "text")
"""The output of bundles that declare none: recognisers of the first bundles of version 1."""
FORGOTTEN = (600, 3600)
"""Every so many seconds, what visitors sent or got so many seconds ago is deleted."""
BROKEN = "The model could not process this. What went wrong stands in the log of the page."


def build_page(model: LoadedModel, demo: DemoConfig) -> gr.Blocks:
    """A page that asks for the inputs of a model and shows its outputs.

    Raises:
        UserError: The model needs an input that a page cannot ask for.
    """
    outputs = model.outputs or (TEXT,)
    title = demo.title or model.manifest.title or model.manifest.system
    with gr.Blocks(title=title, analytics_enabled=False, delete_cache=FORGOTTEN) as page:
        gr.Markdown(f"# {title}\n\n{demo.description or _description(model)}".rstrip())
        asked = {field: input_widget(field, demo) for field in model.inputs}
        inputs = [widget for widget in asked.values() if widget is not None]
        fields = [field for field, widget in asked.items() if widget is not None]
        button = gr.Button("Run", variant="primary", elem_id="run")
        if (example := sample_of(model, fields)) is not None:
            gr.Examples([example], inputs=inputs, cache_examples=False, label="Example")
        problem = gr.Markdown(visible=False, elem_id="problem")
        results = [output_widget(field) for field in outputs]

        def answer(*values: Any) -> list[Any]:
            return respond(model, demo, fields, outputs, values)

        gr.on(
            [button.click, *(widget.submit for widget in inputs if isinstance(widget, gr.Textbox))],
            answer,
            inputs,
            [problem, *results],
            api_name="run",
        )
    return page


def _description(model: LoadedModel) -> str:
    facts = [", ".join(model.manifest.language), model.manifest.license or ""]
    return " · ".join(fact for fact in facts if fact)


def sample_of(model: LoadedModel, fields: Sequence[FieldDeclaration]) -> list[Any] | None:
    """Values of the bundle's sample for these inputs; None when it has no sample."""
    sample = (model.manifest.sample or {}).get("inputs", {})
    if not any(field.name in sample for field in fields):
        return None
    return [
        str(Path(model.directory) / sample[field.name])
        if field.kind == "audio" and field.name in sample
        else sample.get(field.name)
        for field in fields
    ]


def respond(
    model: LoadedModel,
    demo: DemoConfig,
    inputs: Sequence[FieldDeclaration],
    outputs: Sequence[FieldDeclaration],
    values: Sequence[Any],
) -> list[Any]:
    """The message, shown when something is wrong, and a value for each output."""
    try:
        read_values = {
            field.name: read(field, value, demo, model.sample_rate)
            for field, value in zip(inputs, values, strict=True)
        }
        given = {name: value for name, value in read_values.items() if value is not None}
        result = model(given.pop(model.inputs[0].name), sample_rate=model.sample_rate, **given)
        return [gr.update(visible=False), *(shown(field, result) for field in outputs)]
    except UserError as error:
        message = error.message
    except Exception:
        _log.exception("the model failed")
        message = BROKEN
    return [gr.update(value=message, visible=True), *(None for _ in outputs)]
