"""A volume as its header describes it, opened as frames: what every format of volumes shares."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from segmenter.contract import RgbImage
from segmenter.errors import InvalidPrompt
from segmenter.formats.decoded import Window, join_rules
from segmenter.formats.frames import Frames, ReadOptions, SequenceFormat, shown_grey
from segmenter.formats.grey_levels import AS_ASKED, Ramp, exact_window, ramp
from segmenter.formats.percentiles import non_zero_ramp
from segmenter.formats.volumes.placement import Placement, shown_grid
from segmenter.formats.volumes.voxels import GroupedFrames, VoxelLayout, Voxels, open_voxels
from segmenter.formats.window_presets import preset_window

AS_COLOUR = "colours as stored"


@dataclass(frozen=True)
class StoredVolume:
    """What a header says, checked; no voxel is read.

    Attributes:
        format: of the file.
        content: that the voxels lie in.
        layout: of them.
        place: of them.
        scale: slope and intercept from stored values to the file's own units.
        nifti_header: as it came, of a NIfTI or Analyze file.
    """

    format: SequenceFormat
    content: memoryview
    layout: VoxelLayout
    place: Placement
    scale: tuple[float, float] = (1.0, 0.0)
    nifti_header: bytes | None = None


def open_stored(stored: StoredVolume, options: ReadOptions) -> Frames:
    """Open one of the volumes of a file.

    Args:
        stored: from its header.
        options: of the caller; without window and preset the grey levels are between percentiles of
            the whole volume, with a preset it is taken for CT.

    Raises:
        BrokenImage: the voxels are not all there.
        InvalidPrompt: no such volume or preset, or a preset for colours.
    """
    layout = stored.layout
    number = _chosen(layout.volumes, options.volume)
    window = _asked_window(layout, options)
    voxels = open_voxels(layout, stored.content, number - 1)
    grid, geometry, rules = shown_grid(stored.place, layout.shape)
    frame, rule = _tones(voxels, GroupedFrames(voxels, grid), stored.scale, window)
    voxels.check_end()
    columns, rows, through = grid.axes
    return Frames(
        count=layout.shape[through],
        height=layout.shape[rows],
        width=layout.shape[columns],
        format=stored.format,
        modality=None,
        rendering=join_rules(
            rule, f"volume {number} of {layout.volumes}" if layout.volumes > 1 else None, *rules
        ),
        geometry=geometry,
        source=replace(grid, nifti_header=stored.nifti_header),
        frame=frame,
    )


def _chosen(volumes: int, asked: int | None) -> int:
    """Return the number of the volume asked for, from 1."""
    number = asked or 1
    if number > volumes:
        there = "1 volume" if volumes == 1 else f"{volumes} volumes, numbered from 1"
        raise InvalidPrompt(f"the file holds {there}", field="volume")
    return number


def _asked_window(layout: VoxelLayout, options: ReadOptions) -> Window | None:
    if layout.colour and options.preset is not None:
        raise InvalidPrompt(
            "window presets are of CT volumes, this one is in colour", field="preset"
        )
    if options.window is None and options.preset is not None:
        return preset_window(options.preset, None)
    return options.window


def _tones(
    voxels: Voxels, frames: GroupedFrames, scale: tuple[float, float], window: Window | None
) -> tuple[Callable[[int], RgbImage], str]:
    """Return how a frame is shown, and the rule."""
    if voxels.layout.colour:
        return lambda index: np.ascontiguousarray(frames[index], np.uint8), AS_COLOUR
    slope, intercept = scale
    if window is not None:
        low_high, rule = exact_window(*window), AS_ASKED
    else:
        ends, rule = non_zero_ramp(voxels.pieces, "voxel")
        low_high = Ramp(*sorted(end * slope + intercept for end in ends))
    return shown_grey(frames, lambda band: ramp(band * slope + intercept, *low_high)), rule
