"""Frames at one position are a clip; with other positions as well they are volumes, by choice."""

import gzip
from typing import Any

import nibabel
import numpy as np
import pytest
from pydicom.uid import UltrasoundImageStorage

from segmenter.errors import InvalidPrompt, MixedFiles, UnsupportedImage
from segmenter.formats.volumes.labels import write_labels
from tests.segmenter.formats.build import dicom, picture
from tests.segmenter.formats.dicom.series.build import clip, one_slice
from tests.segmenter.formats.dicom.series.test_series import opened, values


def cine(count: int, **tags: Any) -> list[bytes]:
    """A slice at one place, times 40 ms apart, last one first."""
    made = [
        one_slice(5, value=10 * k, TriggerTime=f"{40 * (k - 1)}", InstanceNumber=str(k), **tags)
        for k in range(1, count + 1)
    ]
    return made[::-1]


def test_files_at_one_place_are_a_clip_in_order_of_trigger_time() -> None:
    frames = opened(cine(6, SliceThickness="8"))
    assert values(frames) == [10, 20, 30, 40, 50, 60]
    geometry = frames.geometry
    assert (geometry.axis, geometry.slice_mm, geometry.voxel_ml) == ("time", None, None)
    assert geometry.fps == pytest.approx(25.0)
    assert "frames in order of TriggerTime" in frames.rendering
    assert [each.time_ms for each in frames.origins] == [0, 40, 80, 120, 160, 200]


def test_the_labels_of_a_clip_lie_at_its_place_and_have_a_time_axis() -> None:
    frames = opened(cine(4, SliceThickness="8"))
    labels = np.arange(4, dtype=np.uint16)[:, None, None] * np.ones((4, 6, 8), np.uint16)
    written: Any = nibabel.Nifti1Image.from_bytes(gzip.decompress(write_labels(labels, frames)))
    assert written.shape == (8, 6, 1, 4)
    assert np.asarray(written.dataobj)[0, 0, 0].tolist() == [0, 1, 2, 3]
    assert written.header.get_zooms()[3] == pytest.approx(0.04)
    assert written.header.get_xyzt_units() == ("mm", "sec")
    expected: Any = [[-0.75, 0, 0, -1], [0, -0.5, 0, -2], [0, 0, 8, 5], [0, 0, 0, 1]]
    assert np.allclose(written.affine, expected)


@pytest.mark.parametrize(
    ("tags", "key"),
    [
        (lambda k: {"AcquisitionTime": f"10151{k}.250000"}, "AcquisitionTime"),
        (lambda k: {"AcquisitionDateTime": f"2024010110151{k}.5"}, "AcquisitionTime"),
        (lambda k: {"TemporalPositionIdentifier": str(k)}, "TemporalPositionIndex"),
        (lambda k: {"ContentTime": f"10151{k}"}, "ContentTime"),
        (lambda k: {"AcquisitionNumber": str(k)}, "AcquisitionNumber"),
        (lambda k: {"InstanceNumber": str(k)}, "InstanceNumber"),
        # A time that is the same for all orders nothing.
        (lambda k: {"TriggerTime": "0", "InstanceNumber": str(k)}, "InstanceNumber"),
    ],
)
def test_what_orders_a_clip_is_told(tags: Any, key: str) -> None:
    order = [3, 1, 4, 2, 5]
    frames = opened([one_slice(5, value=k, **tags(k)) for k in order])
    assert values(frames) == [1, 2, 3, 4, 5]
    assert f"frames in order of {key}" in frames.rendering
    timed = "Time" in key
    assert frames.geometry.fps == (pytest.approx(1.0) if timed else None)


def test_a_clip_goes_on_over_midnight() -> None:
    times = ["235958", "235959", "000000", "000001"]
    files = [one_slice(5, value=10 + k, AcquisitionTime=each) for k, each in enumerate(times)]
    frames = opened(files[::-1])
    assert values(frames) == [10, 11, 12, 13]
    assert frames.geometry.fps == pytest.approx(1.0)


def test_frames_of_successive_beats_are_in_order_of_acquisition() -> None:
    """First-pass perfusion: the delay after the beat is the same but for noise."""
    delays = [350.5, 349.0, 352.0, 348.5, 351.0]
    files = [
        one_slice(5, value=10 + k, TriggerTime=str(delay), AcquisitionTime=f"10150{k}")
        for k, delay in enumerate(delays)
    ]
    frames = opened(files[::-1])
    assert values(frames) == [10, 11, 12, 13, 14]
    assert "frames in order of AcquisitionTime" in frames.rendering


def test_uneven_times_are_told() -> None:
    files = [
        one_slice(5, value=10 + k, TriggerTime=each) for k, each in enumerate(["0", "20", "65"])
    ]
    frames = opened(files)
    assert "frames 20 to 45 ms apart" in frames.rendering
    assert frames.geometry.fps == pytest.approx(2000 / 65)


# Volumes.


def phases(positions: int, times: int, **tags: Any) -> list[bytes]:
    """A stack at several times: value 10 z + t, times that every slice has of its own."""
    return [
        one_slice(
            3.0 * z,
            value=10 * z + t,
            TriggerTime=str(30 * t + z),
            InstanceNumber=str(z * times + t + 1),
            **tags,
        )
        for z in range(1, positions + 1)
        for t in range(1, times + 1)
    ]


def test_a_stack_with_phases_is_shown_by_volume() -> None:
    files = phases(4, 3)
    first = opened(files)
    assert values(first) == [11, 21, 31, 41]
    assert "volume 1 of 3 by TriggerTime" in first.rendering
    assert (first.geometry.axis, first.geometry.slice_mm, first.geometry.fps) == (
        "depth",
        3.0,
        None,
    )
    assert values(opened(files[::-1], volume=3)) == [13, 23, 33, 43]
    assert opened(files, volume=3).origins[1].time_ms == 92.0
    with pytest.raises(InvalidPrompt, match="there are 3 volumes in this series") as refused:
        opened(files, volume=4)
    assert refused.value.field == "volume"


def test_one_volume_may_be_asked_for_as_the_first() -> None:
    files = [one_slice(0), one_slice(3)]
    assert opened(files, volume=1).count == 2
    with pytest.raises(InvalidPrompt, match="there is 1 volume"):
        opened(files, volume=2)


def test_an_incomplete_phase_is_refused_with_numbers() -> None:
    files = phases(4, 3)
    del files[4]
    with pytest.raises(MixedFiles, match="incomplete phases: 3 of 4 positions have 3 frames"):
        opened(files)


@pytest.mark.parametrize(
    ("tags", "name"),
    [
        (({"EchoTime": "10"}, {"EchoTime": "80"}), "EchoTime"),
        (({"DiffusionBValue": 0.0}, {"DiffusionBValue": 1000.0}), "DiffusionBValue"),
        (
            (
                {"ImageType": ["ORIGINAL", "PRIMARY", "M"]},
                {"ImageType": ["ORIGINAL", "PRIMARY", "P"]},
            ),
            "ImageType",
        ),
    ],
)
def test_other_pictures_of_a_place_are_other_volumes(tags: Any, name: str) -> None:
    files = [
        one_slice(3.0 * z, value=10 * z + kind, InstanceNumber=str(number), **tags[kind])
        for number, (z, kind) in enumerate(((1, 1), (1, 0), (2, 0), (2, 1), (3, 1), (3, 0)))
    ]
    assert values(opened(files)) == [10, 20, 30]
    second = opened(files, volume=2)
    assert values(second) == [11, 21, 31]
    assert f"volume 2 of 2 by {name}" in second.rendering


def test_echoes_of_a_clip_are_clips_of_their_own() -> None:
    files = [
        one_slice(5, value=10 * echo + k, EchoTime=str(echo), TriggerTime=str(40 * k))
        for k in range(4)
        for echo in (1, 2)
    ]
    assert values(opened(files)) == [10, 11, 12, 13]
    second = opened(files, volume=2)
    assert values(second) == [20, 21, 22, 23]
    assert "volume 2 of 2 by EchoTime and TriggerTime" in second.rendering


def test_b_values_with_directions_are_counted_through() -> None:
    files = [
        one_slice(3.0 * z, value=50 * z + n, DiffusionBValue=float(b), InstanceNumber=str(n))
        for z in (1, 2, 3)
        for n, b in enumerate((0, 800, 800, 800), 1)
    ]
    assert values(opened(files)) == [51, 101, 151]
    assert values(opened(files, volume=4)) == [54, 104, 154]
    with pytest.raises(InvalidPrompt, match="there are 4 volumes"):
        opened(files, volume=5)


def test_a_kind_of_picture_at_some_places_only_is_refused() -> None:
    kinds = {(1, 1): "M", (1, 2): "M", (2, 1): "M", (2, 2): "P"}
    files = [
        one_slice(3.0 * z, InstanceNumber=str(n), ImageType=["ORIGINAL", "PRIMARY", kind])
        for (z, n), kind in kinds.items()
    ]
    with pytest.raises(MixedFiles, match="ImageType differs at some positions only"):
        opened(files)


def test_echoes_that_lie_between_each_other_are_refused() -> None:
    files = [one_slice(1.5 * k, EchoNumbers=str(k % 2 + 1)) for k in range(6)]
    with pytest.raises(MixedFiles, match="EchoNumbers differs between the slices"):
        opened(files)


def test_a_mosaic_is_refused() -> None:
    files = [one_slice(0, ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"]) for _ in range(2)]
    with pytest.raises(UnsupportedImage, match="many slices side by side"):
        opened(files)


def test_one_plane_at_two_places_is_no_clip() -> None:
    files = [one_slice(5, TriggerTime="0"), one_slice(5, x="30", TriggerTime="40")]
    with pytest.raises(MixedFiles, match="lie in one plane at other places"):
        opened(files)


# Multi-frame clips.


def test_a_frame_time_vector_gives_times_and_rate() -> None:
    frames = opened([clip(4, FrameTimeVector=["0", "30", "50", "40"])])
    assert values(frames) == [10, 20, 30, 40]
    assert [each.time_ms for each in frames.origins] == [0, 30, 80, 120]
    assert [each.frame for each in frames.origins] == [1, 2, 3, 4]
    assert frames.geometry.fps == pytest.approx(25.0)
    assert "frames 30 to 50 ms apart" in frames.rendering


@pytest.mark.parametrize(
    ("tags", "fps"),
    [
        ({"FrameTime": "33.3"}, 1000 / 33.3),
        ({"CineRate": "15"}, 15.0),
        ({"RecommendedDisplayFrameRate": "12"}, 12.0),
        ({"FrameTime": "50", "CineRate": "99"}, 20.0),
        ({"FrameTimeVector": ["0", "50"], "FrameTime": "20"}, 50.0),
    ],
)
def test_the_rate_of_a_clip_is_that_of_its_times(tags: dict[str, Any], fps: float) -> None:
    geometry = opened([clip(5, **tags)]).geometry
    assert (geometry.axis, geometry.fps) == ("time", pytest.approx(fps))


def test_a_colour_clip_of_several_files_is_in_order() -> None:
    files = [
        dicom(
            picture() // 4 + 40 * k,
            SOPClassUID=UltrasoundImageStorage,
            Modality="US",
            SeriesInstanceUID="1.2.3",
            InstanceNumber=str(k),
            AcquisitionTime=f"10150{k}",
        )
        for k in (3, 1, 2)
    ]
    frames = opened(files)
    assert [each.file for each in frames.origins] == [2, 3, 1]
    assert (frames.geometry.axis, frames.geometry.fps) == ("time", pytest.approx(1.0))
    assert frames.frame(0).mean() < frames.frame(1).mean() < frames.frame(2).mean()


def test_a_clip_in_palette_colours_is_read() -> None:
    tables: Any = {}
    for channel, ramp in (("Red", 1), ("Green", 2), ("Blue", 3)):
        tables[f"{channel}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        table = (np.arange(256, dtype="<u2") * ramp % 256 * 257).tobytes()
        tables[f"{channel}PaletteColorLookupTableData"] = table
    frames = opened([clip(3, PhotometricInterpretation="PALETTE COLOR", FrameTime="40", **tables)])
    assert frames.geometry.fps == 25.0
    assert [frames.frame(k)[2, 2].tolist() for k in range(3)] == [
        [10, 20, 30],
        [20, 40, 60],
        [30, 60, 90],
    ]


def test_several_clips_are_chosen_by_number() -> None:
    files = [clip(3, FrameTime="40", InstanceNumber=str(n)) for n in (2, 1)]
    with pytest.raises(InvalidPrompt, match="1: US, 3 frames of 8 x 6 of file 2; 2: US, 3 frames"):
        opened(files)
    frames = opened(files, series="1")
    assert {each.file for each in frames.origins} == {2}


def test_slices_without_a_place_and_order_are_refused() -> None:
    none: Any = {"ImagePositionPatient": None, "ImageOrientationPatient": None}
    files = [one_slice(0, InstanceNumber=str(n), **none) for n in (1, 2)]
    with pytest.raises(MixedFiles, match="does not tell its position"):
        opened(files)


def test_frames_with_one_position_for_all_and_no_time_have_no_place() -> None:
    place = {"ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
    frames = opened([clip(3, Modality="NM", PixelSpacing=["4", "4"], **place)])
    assert frames.geometry.affine is None
    assert "positions of the frames not told" in frames.rendering


def test_offsets_of_a_dose_grid_are_its_positions() -> None:
    place: Any = {"ImagePositionPatient": [1, 2, 3], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
    frames = opened(
        [
            clip(
                3,
                PixelSpacing=["4", "4"],
                GridFrameOffsetVector=[0, 2.5, 5],
                Modality="RTDOSE",
                **place,
            )
        ]
    )
    assert frames.geometry.slice_mm == 2.5
    assert frames.origins[2].position_mm == (1.0, 2.0, 8.0)
