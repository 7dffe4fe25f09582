"""Writes the trained network as two ONNX graphs and checks them against torch."""

import hashlib
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from segmenter.training.compact.network import Compact

ENCODER = "encoder.onnx"
DECODER = "decoder.onnx"
LEVELS = ("half", "quarter", "eighth", "sixteenth", "coarsest")
OPSET = 18


def export_graphs(model: Compact, side: int, folder: Path) -> None:
    """Write ``encoder.onnx`` and ``decoder.onnx`` into ``folder``.

    Args:
        model: trained; its statistics are frozen and folded into the convolutions.
        side: of a view, pixels.
        folder: is made if it is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model = model.eval()
    # Two views, because a size of 1 would be written into the graph as fixed.
    pixels = torch.zeros(2, 4, side, side)
    with torch.inference_mode():
        levels = model.encoder(pixels)
    concept = torch.zeros(2, dtype=torch.int64)
    _export(model.encoder, (pixels,), folder / ENCODER, ["views"], list(LEVELS))
    _export(
        model.decoder,
        (*levels, concept),
        folder / DECODER,
        [*LEVELS, "concept"],
        ["mask_logits", "presence_logit"],
    )


def _export(
    module: nn.Module, inputs: tuple[Tensor, ...], path: Path, names: list[str], outputs: list[str]
) -> None:
    """Export one half; the first axis of every input is free."""
    batch = torch.export.Dim("batch")
    torch.onnx.export(
        module,
        inputs,
        path,
        input_names=names,
        output_names=outputs,
        dynamic_shapes=tuple({0: batch} for _ in inputs),
        opset_version=OPSET,
        external_data=False,
        dynamo=True,
        verbose=False,
    )
    graph = onnx.load(path)
    for node in graph.graph.node:
        # Stack traces of the exporting machine; they name its folders and weigh kilobytes.
        del node.metadata_props[:]
        node.doc_string = ""
    onnx.checker.check_model(graph)
    onnx.save(graph, path)


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file as hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
