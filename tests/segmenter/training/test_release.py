import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")
pytest.importorskip("onnx", reason="export needs the extra 'train'")
pytest.importorskip("onnxscript", reason="export needs the extra 'train'")

import onnxruntime  # noqa: E402 - after the check for torch

from segmenter.backends.compact import CompactBackend  # noqa: E402
from segmenter.training import export  # noqa: E402
from segmenter.training.loop import Budget, train  # noqa: E402
from segmenter.training.release import release  # noqa: E402
from segmenter.training.state import build  # noqa: E402
from tests.segmenter.training.drawings import SIDE, tiny_settings  # noqa: E402

# The exporter itself uses what its own libraries have deprecated.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(3)
    network = build(tiny_settings().model)
    pixels = torch.randn(8, 4, SIDE, SIDE)
    with torch.no_grad():
        # Statistics and modulation away from their starting values, or folding proves nothing.
        network(pixels, torch.arange(8))
        for name, value in network.named_parameters():
            if "film" in name:
                value.normal_(0, 0.2)
    return network.eval()


@pytest.mark.parametrize("views", [1, 3])
def test_the_graphs_answer_as_torch_does(model, tmp_path, views):
    export.export_graphs(model, SIDE, tmp_path)
    rng = np.random.default_rng(views)
    pixels = rng.normal(size=(views, 4, SIDE, SIDE)).astype(np.float32)
    concept = rng.integers(0, 15, views)
    encoder = onnxruntime.InferenceSession(tmp_path / export.ENCODER)
    decoder = onnxruntime.InferenceSession(tmp_path / export.DECODER)
    levels = encoder.run(None, {"views": pixels})
    names = [put.name for put in decoder.get_inputs()]
    found = decoder.run(None, dict(zip(names, [*levels, concept], strict=True)))
    for ours, theirs in zip(found, export.torch_outputs(model, pixels, concept), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_a_graph_does_not_tell_where_it_was_made(model, tmp_path):
    export.export_graphs(model, SIDE, tmp_path)
    for name in (export.ENCODER, export.DECODER):
        assert b"site-packages" not in (tmp_path / name).read_bytes()


def test_a_trained_run_becomes_a_folder_the_backend_loads(drawings, tmp_path):
    settings = tiny_settings()
    train(drawings, tmp_path / "run", settings, budget=Budget(3, 600), resume=False)
    choice = release(drawings, tmp_path / "run", tmp_path / "out", settings, weights_id="tiny-1")
    capabilities = CompactBackend(tmp_path / "out").capabilities
    assert capabilities.model.weights_id == "tiny-1"
    assert capabilities.threshold == choice.threshold
    record = json.loads((tmp_path / "out" / "training.json").read_text(encoding="utf-8"))
    assert record["steps"] == 3
    assert record["settings"]["run"]["seed"] == 7
