"""Objects through depth and time: linked by overlap, told apart, never made up."""

import tracemalloc

import numpy as np
import pytest

from segmenter.contract import Mask
from segmenter.masks import rle
from segmenter.masks.geometry import mask_box
from segmenter.volumes.linking import STITCH_IOU, SliceLinker, paint

HEIGHT, WIDTH = 20, 60


def square(left: int, *, side: int = 10, joint: float = 0.9) -> Mask:
    """A mask of `side` x `side` pixels whose first column is `left`."""
    pixels = np.zeros((HEIGHT, WIDTH), dtype=bool)
    pixels[2 : 2 + side, left : left + side] = True
    box = mask_box(pixels)
    assert box is not None
    area = int(pixels.sum())
    encoded = rle.encode(pixels)
    return Mask(
        rle=encoded, box=box, score=joint, presence=1.0, joint=joint, area_px=area, stability=1.0
    )


def unknown(corners: object) -> None:
    """The sizes of voxels are not known."""


def link(*frames: list[Mask]) -> tuple[SliceLinker, list[tuple[int, ...]]]:
    linker = SliceLinker()
    return linker, [linker.add(index, masks) for index, masks in enumerate(frames)]


# Two squares of 10 x 10 moved by d columns: IoU = (10 - d) / (10 + d), so 0.25 at d = 6.
@pytest.mark.parametrize(
    ("moved", "same"),
    [
        pytest.param(0, True, id="in place"),
        pytest.param(6, True, id="at the threshold"),
        pytest.param(7, False, id="below it"),
        pytest.param(30, False, id="far away"),
    ],
)
def test_masks_that_overlap_enough_are_one_object(moved, same):
    assert STITCH_IOU == 0.25
    _, ids = link([square(0)], [square(moved)])
    assert (ids[0] == ids[1]) is same


def test_each_mask_goes_to_the_object_it_overlaps_most():
    # 20 against 18 and 24: IoU 8/12 and 6/14; the other one is new at 24.
    _, ids = link([square(20)], [square(24), square(18)])
    assert ids == [(1,), (2, 1)]


def test_an_object_takes_one_mask_of_a_frame_only():
    _, ids = link([square(20)], [square(20), square(21)])
    assert ids == [(1,), (1, 2)]


def test_objects_keep_their_ids_side_by_side():
    _, ids = link(
        [square(0), square(30)], [square(31), square(1)], [square(2), square(32), square(45)]
    )
    assert ids == [(1, 2), (2, 1), (1, 2, 3)]


def test_a_gap_of_one_frame_is_bridged_and_reported_without_a_mask():
    linker, ids = link([square(0)], [], [square(1)], [square(1)])
    assert ids == [(1,), (), (1,), (1,)]
    [found] = linker.objects(frames=4, voxel_ml=None, longest=unknown)
    assert (found.first, found.last, found.frames, found.gaps) == (0, 3, 3, (1,))
    assert found.voxels == 300


def test_a_longer_gap_is_another_object():
    _, ids = link([square(0)], [], [], [square(0)])
    assert ids == [(1,), (), (), (2,)]


def test_the_frame_beside_wins_over_the_one_before_it():
    # 21 overlaps 16 (seen on frame 0) and 26 (seen on frame 1) alike: IoU 5/15.
    _, ids = link([square(16)], [square(26)], [square(21)])
    assert ids == [(1,), (2,), (2,)]


def test_an_object_on_one_frame_is_marked_and_kept():
    linker, _ = link([square(0)], [square(0), square(40)], [square(0)])
    first, blip = linker.objects(frames=3, voxel_ml=None, longest=unknown)
    assert (first.single, blip.single) == (False, True)
    assert (blip.first, blip.last, blip.voxels) == (1, 1, 100)


def test_one_frame_alone_has_no_neighbours_to_ask():
    linker, _ = link([square(0)])
    [found] = linker.objects(frames=1, voxel_ml=None, longest=unknown)
    assert not found.single


def test_a_sequence_read_backwards_gives_the_same_objects():
    frames = [[square(0), square(30)], [square(3)], [square(6), square(31)], [square(36)]]
    _, forth = link(*frames)
    _, back = link(*reversed(frames))
    assert _partition(forth) == _partition(back[::-1])


def _partition(ids: list[tuple[int, ...]]) -> set[frozenset[tuple[int, int]]]:
    groups: dict[int, set[tuple[int, int]]] = {}
    for frame, found in enumerate(ids):
        for number, object_id in enumerate(found):
            groups.setdefault(object_id, set()).add((frame, number))
    return {frozenset(group) for group in groups.values()}


def test_volume_and_doubt_are_summed_up():
    linker, _ = link([square(0, joint=0.9)], [square(1, side=8, joint=0.6)])
    [found] = linker.objects(frames=2, voxel_ml=0.015, longest=unknown)
    assert found.voxels == 164
    assert found.volume_ml == pytest.approx(2.46)
    assert found.lowest_joint == 0.6


def test_the_surer_object_is_painted_on_top():
    labels = np.zeros((HEIGHT, WIDTH), dtype=np.uint16)
    paint(labels, [square(0, joint=0.9), square(5, joint=0.7)], (7, 8))
    assert labels[2, [0, 5, 9, 10, 14, 15]].tolist() == [7, 7, 7, 8, 8, 0]
    assert (labels == 7).sum() == 100
    assert (labels == 8).sum() == 50


def test_memory_stays_flat_however_many_objects_come_and_go():
    pixels = np.zeros((1000, 1000), dtype=bool)
    pixels[:10, :10] = True
    found = rle.encode(pixels)
    mask = square(0).model_copy(update={"rle": found})
    linker = SliceLinker()
    tracemalloc.start()
    try:
        for index in range(0, 300, 3):
            linker.add(index, [mask])
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(linker.objects(frames=300, voxel_ml=None, longest=unknown)) == 100
    assert kept < 5 * 2**20
