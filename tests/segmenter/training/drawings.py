"""A small data folder in the layout of the shared one: bright discs and squares."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from segmenter.training.compact.settings import (
    DataSettings,
    InferenceSettings,
    LossSettings,
    ModelSettings,
    OptimizerSettings,
    RunSettings,
    SamplingSettings,
    Settings,
)

SIDE = 64
HEAD = ["id", "image", "mask", "concept", "split", "group"]


def tiny_settings(**optimizer: Any) -> Settings:
    """Settings of a network that learns a disc in seconds."""
    return Settings(
        data=DataSettings(validation_share=0.2, validation_seed=1, validation_rows=4),
        model=ModelSettings(
            side=SIDE,
            widths=[8, 12, 16, 24, 32],
            depths=[0, 0, 1, 0, 0],
            levels=[8, 8, 12, 16, 24],
            heads=2,
            concept_width=8,
        ),
        sampling=SamplingSettings(
            boxed=0.4,
            boxed_full_view=0.2,
            rough_box=0.3,
            detail=0.5,
            object_token=0.25,
            foreign_text=0.15,
            foreign_boxed=0.05,
            bonus={"busi": 2.0},
        ),
        optimizer=OptimizerSettings(
            batch=8,
            learning_rate=4e-3,
            weight_decay=0.01,
            warm_up=0.1,
            clip_norm=1.0,
            ema=0.9,
            steps=12,
        ).model_copy(update=optimizer),
        loss=LossSettings(dice=1.0, presence=0.3, empty=0.3),
        run=RunSettings(
            seed=7,
            threads=1,
            workers=0,
            log_every=1,
            checkpoint_minutes=10.0,
            validate_minutes=10.0,
        ),
        inference=InferenceSettings(zoom_factor=1.6, zoom_limit=1.6, foreign=1),
    )


def picture(rng: np.random.Generator, *, empty: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return uint8 (48, 56, 3) and bool (48, 56): a bright disc on noise, or noise alone."""
    rows, columns = np.mgrid[:48, :56]
    middle = rng.integers(14, 34, 2)
    disc = (rows - middle[0]) ** 2 + (columns - middle[1]) ** 2 < rng.integers(36, 100)
    mask = disc & (not empty)
    noise = rng.integers(0, 60, (48, 56, 1))
    return np.repeat(noise + mask[..., None] * 150, 3, axis=2).astype(np.uint8), mask


def write_data(root: Path, images: int = 20) -> Path:
    """Write two sets, ``busi`` with every fifth image empty and ``kvasir_seg``."""
    for name, concept in (("busi", "breast tumor"), ("kvasir_seg", "polyp")):
        rng = np.random.default_rng(len(name))
        for folder in ("images", "masks"):
            (root / name / folder).mkdir(parents=True)
        lines = []
        for number in range(images):
            pixels, mask = picture(rng, empty=name == "busi" and number % 5 == 0)
            image, annotation = f"images/{number}.png", f"masks/{number}.png"
            Image.fromarray(pixels).save(root / name / image)
            Image.fromarray(mask).save(root / name / annotation)
            split = "test" if number >= images - 4 else "train"
            # Two images of each group: never to be divided.
            lines.append(
                [f"{name}_{number}", image, annotation, concept, split, f"{name}_{number // 2}"]
            )
        with (root / name / "manifest.csv").open("w", newline="", encoding="utf-8") as out:
            csv.writer(out).writerows([HEAD, *lines])
    return root
