"""The two graphs of the bundled model; the only module that knows ONNX Runtime."""

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from segmenter.backends.compact.metadata import CompactMetadata
from segmenter.backends.compact.sampling import FloatArray

# Views run through the graphs together: bounds memory at about 30 MB of features.
BATCH = 8

Levels = tuple[FloatArray, ...]


class Graphs:
    """Encoder and decoder, checked against the metadata they belong to."""

    def __init__(self, folder: Path, metadata: CompactMetadata, *, threads: int) -> None:
        """Load both.

        Raises:
            ValueError: a graph is not the one the metadata belong to.
        """
        self._encoder = _session(folder / "encoder.onnx", metadata.encoder_sha256, threads)
        self._decoder = _session(folder / "decoder.onnx", metadata.decoder_sha256, threads)
        self._inputs = [put.name for put in self._decoder.get_inputs()]

    def encode(self, pixels: FloatArray) -> Levels:
        """Encode views.

        Args:
            pixels: float32, shape (N, 4, S, S): normalised RGB, then 1 inside the box.

        Returns:
            float32, shapes (N, C, S/2, S/2) to (N, C, S/32, S/32).
        """
        return tuple(self._encoder.run(None, {"views": pixels}))

    def decode(
        self, levels: Levels, concepts: npt.NDArray[np.int64]
    ) -> tuple[FloatArray, FloatArray]:
        """Decode one concept per encoded view.

        Args:
            levels: of N views.
            concepts: int64, shape (N,).

        Returns:
            Mask logits, float32 (N, S, S), and presence logits, float32 (N,).
        """
        feeds = dict(zip(self._inputs, [*levels, concepts], strict=True))
        logits, presence = self._decoder.run(None, feeds)
        return logits[:, 0], presence[:, 0]


def _session(path: Path, sha256: str, threads: int) -> onnxruntime.InferenceSession:
    """Load one graph after checking that it is the right one."""
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ValueError(f"{path.name} has sha256 {found}, the metadata say {sha256}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Two graphs take turns; the idle one's threads would spin on the cores the other needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
