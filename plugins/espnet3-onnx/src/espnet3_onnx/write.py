"""Graphs of torch to ONNX files, with a report of how they compare."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3_core.bundle.manifest import WEIGHTS
from espnet3_core.bundle.pack import replacing_folder
from espnet3_core.errors import UserError
from espnet3_core.files import atomic_write_json, atomic_write_text, disk_errors

from espnet3_onnx.parity import compare

if TYPE_CHECKING:
    from espnet3_core.bundle.export import Axes, Export, Graph
    from espnet3_core.bundle.model import LoadedModel
    from espnet3_core.specs import ExportSpec
    from onnx import ModelProto

OPSET = 18
REPORT = "parity.json"
_LARGEST = 2**31 - 2**20
"""Bytes of weights that one file holds: a message of protocol buffers ends at 2 GB."""


def write_export(model: LoadedModel, spec: ExportSpec, output: Path) -> dict[str, Any]:
    """Write a folder of graphs, the files that belong to them, and ``parity.json``.

    Args:
        model: The bundle, on the CPU.
        spec: Says what it becomes.
        output: Stands complete under its name or, when something fails, as it was before.

    Returns:
        The report.

    Raises:
        UserError: The bundle has no such form, or the graphs compute something else.
    """
    module, _, attribute = spec.target.partition(":")
    export: Export = getattr(import_module(module), attribute)(model)
    manifest = model.manifest
    report: dict[str, Any] = {
        "format": spec.format,
        "bundle": {
            "title": manifest.title,
            "system": manifest.system,
            "weights": manifest.files[WEIGHTS]["sha256"],
        },
        "versions": {name: version(name) for name in ("espnet3-onnx", "torch", "onnx", "onnxruntime")},
        "graphs": {},
    }
    with replacing_folder(output) as folder:
        for graph in export.graphs:
            file = f"{graph.name}.onnx"
            write_graph(graph, folder / file)
            report["graphs"][graph.name] = {"file": file, "opset": OPSET, **compare(graph, folder / file)}
        for name, text in export.files.items():
            atomic_write_text(folder / name, text)
        atomic_write_json(folder / REPORT, report)
    return report


def write_graph(graph: Graph, path: Path) -> None:
    """Write one graph, with its free axes named and its metadata.

    Raises:
        UserError: It is too large, or torch cannot make a graph of the module.
    """
    import onnx
    import torch

    from espnet3_onnx.recurrent import operators

    if sum(value.nbytes for value in graph.module.state_dict().values()) > _LARGEST:
        raise UserError(f"{path.name}: the weights are larger than the 2 GB that one ONNX file holds")
    free = torch.export.Dim.DYNAMIC
    shapes = tuple(
        {number: free for number, axis in enumerate(axes) if isinstance(axis, str)}
        for axes in graph.inputs.values()
    )
    try:
        with _quiet(), operators(graph.module), torch.no_grad():
            program = torch.onnx.export(
                graph.module.eval(),
                tuple(graph.examples[0]),
                dynamo=True,
                verbose=False,
                opset_version=OPSET,
                input_names=list(graph.inputs),
                output_names=list(graph.outputs),
                dynamic_shapes=shapes,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        cause = error.__cause__ or error
        reason = f"{type(cause).__name__}: {str(cause).strip().splitlines()[0]}"
        raise UserError(
            f"torch cannot make a graph of this model: {reason}",
            hint="what the model computes must not depend on values of its input; see torch.onnx.export",
        ) from error
    assert program is not None
    proto = program.model_proto
    _describe(proto, graph)
    onnx.checker.check_model(proto)
    with disk_errors(path):
        path.write_bytes(proto.SerializeToString())


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch says to its own developers; errors are raised all the same."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def _describe(proto: ModelProto, graph: Graph) -> None:
    """Name axes, set the metadata, and drop the traces of source files that torch leaves."""
    for node in proto.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for values, axes in ((proto.graph.input, graph.inputs), (proto.graph.output, graph.outputs)):
        _name_axes(values, axes)
    for info in proto.graph.value_info:
        del info.metadata_props[:]
    del proto.graph.metadata_props[:]
    del proto.metadata_props[:]
    for key, text in graph.metadata.items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, text


def _name_axes(values: Any, axes: Axes) -> None:
    for value in values:
        shape = value.type.tensor_type.shape
        for dimension, axis in zip(shape.dim, axes[value.name], strict=True):
            if isinstance(axis, str):
                dimension.dim_param = axis
            else:
                dimension.dim_value = axis
