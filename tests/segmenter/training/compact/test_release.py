import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")
pytest.importorskip("onnx", reason="export needs the extra 'train'")
pytest.importorskip("onnxscript", reason="export needs the extra 'train'")

import onnxruntime  # noqa: E402 - after the check for torch

from segmenter.backends.compact.backend import CompactBackend  # noqa: E402
from segmenter.training.compact import export  # noqa: E402
from segmenter.training.compact.loop import Budget, train  # noqa: E402
from segmenter.training.compact.release import release  # noqa: E402
from segmenter.training.compact.state import CHECKPOINT, build  # noqa: E402
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
            if "video" in name:
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
    with torch.inference_mode():
        expected = model(torch.from_numpy(pixels), torch.from_numpy(concept))
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_a_graph_does_not_tell_where_it_was_made(model, tmp_path):
    export.export_graphs(model, SIDE, tmp_path)
    for name in (export.ENCODER, export.DECODER):
        assert b"site-packages" not in (tmp_path / name).read_bytes()


def test_trained_runs_become_a_folder_the_backend_loads(drawings, tmp_path):
    settings = tiny_settings()
    runs = [tmp_path / "one", tmp_path / "two"]
    train(drawings, runs[0], settings, budget=Budget(3, 600), resume=False)
    start = runs[0] / CHECKPOINT
    train(drawings, runs[1], settings, budget=Budget(2, 600), resume=False, start=start)
    out = tmp_path / "out"
    choice = release(drawings, runs, out, weights_id="tiny-1", note="by hand")
    backend = CompactBackend(out)
    assert backend.capabilities.model.weights_id == "tiny-1"
    assert backend.metadata.threshold == choice.threshold
    record = json.loads((out / "training.json").read_text(encoding="utf-8"))
    assert (record["steps"], record["views"], record["note"]) == (5, 40, "by hand")
    assert [(each["stage"], each["steps"]) for each in record["stages"]] == [(1, 3), (2, 2)]
    assert record["stages"][1]["settings"]["run"]["seed"] == 7
    assert 0 <= record["validation_presence"]["crossfit_ece"] <= 1


def test_a_folder_without_checkpoint_is_no_run(drawings, tmp_path):
    with pytest.raises(ValueError, match="holds no checkpoint"):
        release(drawings, [tmp_path], tmp_path / "out", weights_id="tiny-1")
