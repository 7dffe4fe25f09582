"""Writes what was trained as the worker loads it: an adapter's folder, or whole weights."""

import shutil
from pathlib import Path

from segmenter.backends.sam3 import adapter as sam3_adapter
from segmenter.backends.sam3.weights.convert import write_weights
from segmenter.training.sam3.detector import Detector


def export(detector: Detector, folder: Path) -> Path:
    """Write into a folder, in place of what was there, and return what the worker loads.

    An adapter is written as PEFT lays it out (``MEDSAM3_SAM3_LORA``), a detector trained as a whole
    as weights with configuration and tokenizer (``MEDSAM3_SAM3_WEIGHTS``).
    """
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    network = detector.network
    if detector.wrapped is not None:
        sam3_adapter.save(detector.wrapped, fresh)
    else:
        write_weights(network.model, network.tracker, network.tokenizer, fresh)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.replace(folder)
    return folder / sam3_adapter.ADAPTER if detector.wrapped is not None else folder
