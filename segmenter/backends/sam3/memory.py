"""Tracks one object from frame to frame with SAM 3's tracker and its memory.

A session of transformers is kept for each object, of bounded size: what its memory attention reads
of earlier frames, and nothing else.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import Sam3TrackerVideoInferenceSession

from segmenter.backends.sam3.mask_cleanup import tidy
from segmenter.backends.sam3.tracker import Sam3Tracker, TrackerFeatures
from segmenter.contract import BinaryMask

OBJECT = 0
KEPT_FOR_ATTENTION = ("maskmem_features", "maskmem_pos_enc", "object_pointer")
KEPT_FOR_POINTERS = ("object_pointer",)


class TrackedMask(NamedTuple):
    """An object on a frame.

    Attributes:
        logits: of its mask at the head's own size, shape (h, w).
        belief: that it is there, [0, 1].
    """

    logits: Tensor
    belief: float


class _Session(Sam3TrackerVideoInferenceSession):
    """Knows how many frames there are without holding their pixels."""

    def __init__(self, frames: int, device: torch.device) -> None:
        super().__init__(
            inference_device=device, inference_state_device=device, dtype=torch.float32
        )
        self._frames = frames

    @property
    def num_frames(self) -> int:
        return self._frames


class ObjectMemory:
    """One object; frames come in order, one direction only."""

    def __init__(
        self,
        tracker: Sam3Tracker,
        features: TrackerFeatures,
        frame: int,
        mask: BinaryMask,
        *,
        frames: int,
    ) -> None:
        """Take up an object.

        Args:
            tracker: of the weights that encoded the frames.
            features: of the frame that shows the object.
            frame: its index.
            mask: the object there: bool, shape (H, W) of the picture.
            frames: how many there are in all.
        """
        self._model = tracker.model
        self._session: Any = _Session(frames, tracker.device)
        index = self._session.obj_id_to_idx(OBJECT)
        shown = torch.from_numpy(mask).to(tracker.device, torch.float32)[None, None]
        self._session.add_mask_inputs(index, frame, shown)
        self._session.obj_with_new_inputs.append(OBJECT)
        self._run(features, frame, reverse=False)
        self._session.mask_inputs_per_obj[OBJECT].clear()

    def step(self, features: TrackerFeatures, frame: int, *, reverse: bool) -> TrackedMask:
        """Look for the object on the next frame; `reverse` when indices fall."""
        found = self._run(features, frame, reverse=reverse)
        belief = float(found.object_score_logits.flatten()[0].float().sigmoid())
        return TrackedMask(tidy(found.pred_masks.float()[0, 0]), belief)

    @property
    def frames_kept(self) -> int:
        """Number of earlier frames of which anything is kept."""
        kept = self._session.output_dict_per_obj[OBJECT]
        return len(kept["cond_frame_outputs"]) + len(kept["non_cond_frame_outputs"])

    @torch.inference_mode()
    def _run(self, features: TrackerFeatures, frame: int, *, reverse: bool) -> Any:
        flat = [[_flat(each) for each in part] for part in features]
        self._session.cache.clear_all()
        self._session.cache.cache_vision_features(
            frame, {"vision_feats": flat[0], "vision_pos_embeds": flat[1]}
        )
        found = self._model(self._session, frame_idx=frame, reverse=reverse)
        self._session.cache.clear_all()
        self._forget(frame)
        return found

    def _forget(self, frame: int) -> None:
        """Keep of each earlier frame what the next one reads."""
        config, kept = self._model.config, self._session.output_dict_per_obj[OBJECT]
        for index, output in kept["cond_frame_outputs"].items():
            if index != frame:
                _keep(output, KEPT_FOR_ATTENTION)
        passed = kept["non_cond_frame_outputs"]
        for index in list(passed):
            age = abs(frame - index)
            if age >= config.max_object_pointers_in_encoder:
                del passed[index]
            elif age:
                near = age < config.num_maskmem
                _keep(passed[index], KEPT_FOR_ATTENTION if near else KEPT_FOR_POINTERS)
        tracked = self._session.frames_tracked_per_obj[OBJECT]
        for index in [index for index in tracked if index != frame]:
            del tracked[index]


def _keep(output: dict[str, Any], names: tuple[str, ...]) -> None:
    for name in [name for name in output if name not in names]:
        del output[name]


def _flat(level: Tensor) -> Tensor:
    """Return a map of shape (1, C, h, w) as the tracker reads it: (h x w, 1, C)."""
    return level.flatten(2).permute(2, 0, 1)
