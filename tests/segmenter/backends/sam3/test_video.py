"""Sequences with SAM 3: the tracker's memory as transformers keeps it, and bounded."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="SAM 3 needs the extra 'sam3'")
pytest.importorskip("peft", reason="SAM 3 needs the extra 'sam3'")

from transformers import Sam3TrackerVideoInferenceSession  # noqa: E402

from segmenter.backends.sam3.factory import to_backend  # noqa: E402
from segmenter.backends.sam3.mask_cleanup import SMALL_AREA, small_parts, tidy  # noqa: E402
from segmenter.backends.sam3.memory import ObjectMemory  # noqa: E402
from segmenter.backends.sam3.preprocess import to_pixels  # noqa: E402
from segmenter.backends.sam3.video import Sam3VideoBackend  # noqa: E402
from segmenter.backends.sam3.weights.load import load_network  # noqa: E402
from segmenter.backends.sequence import (  # noqa: E402
    LOST,
    FrameByFrame,
    FrameStep,
    SequencePrompt,
    sequence_backend,
)
from segmenter.contract import (  # noqa: E402
    Box,
    FrameBox,
    Prompt,
)
from segmenter.masks import rle  # noqa: E402
from tests.segmenter.backends.sam3.test_tracker import reference  # noqa: E402
from tests.segmenter.backends.sam3.trackers import wide_weights  # noqa: E402
from tests.segmenter.backends.sam3.vectors import beside, needs_vectors  # noqa: E402
from tests.segmenter.volumes.sequences import ArrayFrames  # noqa: E402

SHAPE = (40, 60)
pytestmark = needs_vectors


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    folder = beside(tmp_path_factory.mktemp("followed") / "tiny")
    return load_network(wide_weights(folder))


@pytest.fixture(scope="module")
def backend(network):
    return to_backend(network, weights_id="tiny")


def video(count: int) -> ArrayFrames:
    return ArrayFrames(
        np.random.default_rng(2).integers(0, 256, (count, *SHAPE, 3), dtype=np.uint8)
    )


def drawn() -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[8:30, 12:44] = True
    return mask


def features_of(network, frames, index):
    pixels = to_pixels(frames.frame(index), network.image_size)
    return network.tracker.features(network.encode(pixels))


@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
def test_an_object_is_followed_as_transformers_follows_it(network, reverse):
    """Twenty-four frames: longer than any memory, so what we forget would be missed."""
    frames = video(24)
    order = list(range(24))[:: -1 if reverse else 1]
    pixels = torch.cat([to_pixels(frames.frame(i), network.image_size) for i in range(24)])
    model, session = (
        reference(network),
        Sam3TrackerVideoInferenceSession(video=pixels, dtype=torch.float32),
    )
    session.add_mask_inputs(session.obj_id_to_idx(0), order[0], torch.tensor(drawn())[None, None])
    session.obj_with_new_inputs.append(0)
    model(session, frame_idx=order[0])
    ours = ObjectMemory(
        network.tracker, features_of(network, frames, order[0]), order[0], drawn(), frames=24
    )
    for index in order[1:]:
        theirs = model(session, frame_idx=index, reverse=reverse)
        tracked = ours.step(features_of(network, frames, index), index, reverse=reverse)
        assert (tracked.logits - tidy(theirs.pred_masks[0, 0])).abs().max() < 1e-4
        assert tracked.belief == pytest.approx(
            float(theirs.object_score_logits.sigmoid()), abs=1e-5
        )


def test_memory_stays_bounded_however_long_the_video_is(network):
    frames = video(60)
    memory = ObjectMemory(
        network.tracker, features_of(network, frames, 0), 0, drawn(), frames=frames.count
    )
    kept = []
    for index in range(1, 60):
        memory.step(features_of(network, frames, index), index, reverse=False)
        kept.append(memory.frames_kept)
    assert kept[-1] == max(kept) == network.tracker.model.config.max_object_pointers_in_encoder + 1


def run(backend, frames, prompt, steps, known=None):
    looking = sequence_backend(backend).segment_sequence(frames, prompt, steps, known=known or {})
    return {each.index: each.result for each in looking}


def test_weights_with_a_tracker_follow_and_others_look_frame_by_frame(backend, tiny_network):
    assert isinstance(sequence_backend(backend), Sam3VideoBackend)
    plain = to_backend(tiny_network, weights_id="t")
    assert isinstance(sequence_backend(plain), FrameByFrame)


def test_a_box_shows_an_object_that_is_followed_both_ways(backend):
    box = FrameBox(frame=2, box=Box(x0=10, y0=6, x1=46, y1=32))
    steps = (FrameStep(2, None), FrameStep(3, 2), FrameStep(4, 3), FrameStep(1, 2), FrameStep(0, 1))
    found = run(backend, video(5), SequencePrompt(None, box, 0.0), steps)
    assert list(found) == [2, 3, 4, 1, 0]
    assert [len(found[index].masks) for index in range(5)] == [1] * 5
    assert found[4].concept is None


def test_a_job_goes_on_from_what_was_found_before(backend):
    box = FrameBox(frame=0, box=Box(x0=10, y0=6, x1=46, y1=32))
    prompt, steps = (
        SequencePrompt(None, box, 0.0),
        (FrameStep(0, None), FrameStep(1, 0), FrameStep(2, 1)),
    )
    whole = run(backend, video(3), prompt, steps)
    rest = run(backend, video(3), prompt, steps[1:], {0: whole[0]})
    # Frame 1 knows of frame 0 alone either way.
    assert rest[1].masks[0].rle == whole[1].masks[0].rle
    assert list(rest) == [1, 2]


def test_what_is_not_there_to_follow_is_lost(backend):
    box = FrameBox(frame=0, box=Box(x0=10, y0=6, x1=46, y1=32))
    found = run(
        backend, video(2), SequencePrompt(None, box, 1.0), (FrameStep(0, None), FrameStep(1, 0))
    )
    assert found[1].masks == ()
    assert found[1].reason == LOST


def test_a_text_is_looked_for_on_every_frame(backend):
    frames = video(3)
    (alone,) = backend.predict(backend.embed(frames.frame(1)), [Prompt(text="mass")], threshold=0.0)
    best = rle.encode(alone.masks[0].mask)
    steps = (FrameStep(0, None), FrameStep(1, 0), FrameStep(2, 1))
    found = run(backend, frames, SequencePrompt("mass", None, 0.0), steps)
    assert best in [mask.rle for mask in found[1].masks]
    for result in found.values():
        assert result.concept == "mass"
        joints = [mask.joint for mask in result.masks]
        assert joints == sorted(joints, reverse=True)


def test_small_holes_and_specks_go_and_large_ones_stay():
    logits = torch.full((40, 40), -3.0)
    logits[5:30, 5:30] = 3.0
    logits[8:12, 8:12] = -3.0
    logits[15:20, 15:19] = -3.0
    logits[35, 35] = 3.0
    logits[34:39, 1:5] = 3.0
    kept = tidy(logits) > 0
    assert kept[8:12, 8:12].all()
    assert not kept[15:20, 15:19].any()
    assert not kept[35, 35]
    assert kept[34:39, 1:5].all()
    assert float(tidy(logits)[35, 35]) == pytest.approx(-0.1)
    assert torch.equal(tidy(logits)[5, 5], logits[5, 5])


def test_pixels_that_touch_over_a_corner_are_one_part():
    mask = np.eye(SMALL_AREA + 1, dtype=bool)
    assert not small_parts(mask).any()
    assert small_parts(mask[:-1, :-1]).sum() == SMALL_AREA
