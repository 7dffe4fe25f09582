"""Enhanced multi-frame objects: each frame by its own functional groups."""

from typing import Any

import numpy as np
import pytest

from segmenter.errors import InvalidPrompt, MixedFiles
from segmenter.formats.frames import ReadOptions
from segmenter.formats.limits import Limits
from segmenter.formats.sequences import open_frames
from tests.segmenter.formats.build import shown_values
from tests.segmenter.formats.dicom.series.build import enhanced, group, item
from tests.segmenter.formats.dicom.series.test_series import opened, values


def at(z: float, **more: Any) -> Any:
    return group([1, 2, z], **more)


def test_interleaved_frames_are_sorted_by_position() -> None:
    order = [0, 2, 4, 1, 3, 5]
    frames = opened([enhanced([at(3 * k) for k in order], [10 + k for k in order])])
    assert values(frames) == [10, 11, 12, 13, 14, 15]
    assert "frames sorted by position" in frames.rendering
    assert [each.frame for each in frames.origins] == [1, 4, 2, 5, 3, 6]
    assert frames.geometry.slice_mm == 3.0


def test_each_frame_has_its_own_slope_and_intercept() -> None:
    def rescaled(z: float, slope: str, intercept: str) -> Any:
        macro = item(RescaleSlope=slope, RescaleIntercept=intercept)
        return at(z, PixelValueTransformationSequence=macro)

    groups = [rescaled(0, "1", "0"), rescaled(3, "0.1", "0"), rescaled(6, "1", "-50")]
    frames = opened([enhanced(groups, [100, 1000, 150])])
    assert values(frames) == [100, 100, 100]


def test_shared_values_hold_for_all_and_own_ones_come_first() -> None:
    macro = item(RescaleSlope="2", RescaleIntercept="0")
    own = item(RescaleSlope="3", RescaleIntercept="0")
    shared = group(
        orientation=["1", "0", "0", "0", "1", "0"],
        PixelMeasuresSequence=item(PixelSpacing=["1", "1"]),
        PixelValueTransformationSequence=macro,
    )
    groups = [at(0), at(3, PixelValueTransformationSequence=own)]
    file = enhanced(groups, [10, 10], SharedFunctionalGroupsSequence=[shared], RescaleSlope="9")
    assert values(opened([file])) == [20, 30]


def test_a_window_that_all_frames_have_is_taken_and_others_are_not() -> None:
    def windowed(z: float, center: str) -> Any:
        return at(z, FrameVOILUTSequence=item(WindowCenter=center, WindowWidth="101"))

    same = enhanced([windowed(0, "50.5"), windowed(3, "50.5")], [100, 50])
    frames = open_frames(same, Limits(), ReadOptions())
    assert frames.rendering == "window from tags"
    assert [int(each) for each in shown_values(frames).max(axis=(1, 2))] == [255, 128]
    other = enhanced([windowed(0, "50"), windowed(3, "80")])
    told = open_frames(other, Limits(), ReadOptions()).rendering
    assert told.startswith("window at percentiles")
    assert "windows of the frames differ: not applied" in told


def test_temporal_positions_are_volumes() -> None:
    groups = [
        at(3 * z, content={"TemporalPositionIndex": t, "StackID": "1"})
        for t in (1, 2)
        for z in (0, 1, 2)
    ]
    file = enhanced(groups, [11, 21, 31, 12, 22, 32])
    assert values(opened([file])) == [11, 21, 31]
    second = opened([file], volume=2)
    assert values(second) == [12, 22, 32]
    assert "volume 2 of 2 by TemporalPositionIndex" in second.rendering


def test_a_cine_of_one_slice_is_a_clip_with_its_trigger_delays() -> None:
    groups = [
        at(3, CardiacSynchronizationSequence=item(NominalCardiacTriggerDelayTime=float(delay)))
        for delay in (80, 0, 40)
    ]
    frames = opened([enhanced(groups, [30, 10, 20])])
    assert values(frames) == [10, 20, 30]
    assert (frames.geometry.axis, frames.geometry.fps) == ("time", pytest.approx(25.0))
    assert [each.time_ms for each in frames.origins] == [0, 40, 80]
    assert [each.frame for each in frames.origins] == [2, 3, 1]


def test_acquisition_times_of_frames_order_a_clip() -> None:
    groups = [
        at(3, content={"FrameAcquisitionDateTime": f"202401012359{second}.5"})
        for second in (58, 56, 57)
    ]
    frames = opened([enhanced(groups, [30, 10, 20])])
    assert values(frames) == [10, 20, 30]
    assert frames.geometry.fps == pytest.approx(1.0)


def test_echoes_of_frames_are_volumes() -> None:
    groups = [
        at(3 * z, MREchoSequence=item(EffectiveEchoTime=te)) for z in (0, 1) for te in (9.0, 80.0)
    ]
    file = enhanced(groups, [10, 11, 20, 21])
    assert values(opened([file])) == [10, 20]
    assert values(opened([file], volume=2)) == [11, 21]


def test_stacks_of_one_object_are_chosen_by_number() -> None:
    sagittal = ["0", "1", "0", "0", "0", "-1"]
    measures = item(PixelSpacing=["0.5", "0.75"])
    shared = group(PixelMeasuresSequence=measures)
    axial = ["1", "0", "0", "0", "1", "0"]
    groups = [
        *(at(3 * z, orientation=axial, content={"StackID": "1"}) for z in range(3)),
        *(group([2 * x, 0, 0], orientation=sagittal, content={"StackID": "2"}) for x in range(4)),
    ]
    file = enhanced(groups, SharedFunctionalGroupsSequence=[shared])
    with pytest.raises(InvalidPrompt, match=r"2 series in the files .*1: MR, 3 frames .* 2: MR, 4"):
        opened([file])
    assert values(opened([file], series="1")) == [10, 20, 30]
    second = opened([file], series="2")
    # Sorted along the normal, which points to the left.
    assert second.geometry.slice_mm == 2.0
    assert {each.frame for each in second.origins} == {4, 5, 6, 7}


def test_parallel_stacks_of_discs_are_chosen_by_number() -> None:
    groups = [
        at(40 * stack + 3 * z, content={"StackID": str(stack)})
        for stack in (1, 2)
        for z in range(3)
    ]
    file = enhanced(groups)
    with pytest.raises(InvalidPrompt, match="2 series in the files"):
        opened([file])
    assert opened([file], series="2").origins[0].position_mm == (1.0, 2.0, 80.0)


def test_a_frame_without_a_position_is_named() -> None:
    with pytest.raises(MixedFiles, match="frame 2 of file 1 does not tell its position"):
        opened([enhanced([at(0), group(), at(6)])])


def test_frames_of_uneven_positions_are_named() -> None:
    with pytest.raises(MixedFiles, match="mm between frame 1 of file 1 and frame 2 of file 1"):
        opened([enhanced([at(0), at(3), at(7)])])


def test_files_of_one_enhanced_frame_each_are_a_series() -> None:
    files = [enhanced([at(3 * z)], [10 * z + 10]) for z in (2, 0, 1)]
    frames = opened(files)
    assert (values(frames), frames.geometry.slice_mm) == ([10, 20, 30], 3.0)


def test_a_volume_in_a_space_of_its_own_has_sizes_but_no_place() -> None:
    def placed(z: float) -> Any:
        return item(PlanePositionVolumeSequence=[item(ImagePositionVolume=[0.0, 0.0, z])])

    way = item(ImageOrientationVolume=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    shared = item(
        PlaneOrientationVolumeSequence=[way],
        PixelMeasuresSequence=[item(PixelSpacing=["1", "1"])],
    )
    file = enhanced(
        [placed(2.0), placed(0.0), placed(1.0)],
        [30, 10, 20],
        Modality="US",
        SharedFunctionalGroupsSequence=[shared],
    )
    frames = opened([file])
    assert values(frames) == [10, 20, 30]
    assert frames.geometry.slice_mm == 1.0
    assert frames.source.affine is None


def test_many_frames_open_within_seconds() -> None:
    count = 2000
    groups = [at(float(z), content={"InStackPositionNumber": z + 1}) for z in range(count)]
    frames = opened([enhanced(groups, [100] * count)])
    assert frames.count == count
    assert np.allclose(frames.origins[-1].position_mm or (), (1, 2, count - 1))
