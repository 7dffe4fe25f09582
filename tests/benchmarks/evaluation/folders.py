"""A small data folder in the layout of the shared one, of bright rectangles on black."""

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 30, 40
HEAD = ("id", "image", "mask", "concept", "split", "group", "labels", "spacing_row", "spacing_col")
Box = tuple[int, int, int, int]


def drawn(boxes: Iterable[Box]) -> np.ndarray:
    """Bool (H, W), True inside the half-open xyxy boxes."""
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    for x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1] = True
    return mask


def save_grey(path: Path, mask: np.ndarray) -> None:
    """Write a mask as a picture: 200 inside, 0 outside."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask.astype(np.uint8) * np.uint8(200)).save(path)


class SetFolder:
    """Writes one set, image by image."""

    def __init__(self, root: Path, name: str) -> None:
        self.folder = root / name
        self.rows: list[dict[str, str]] = []

    def add(self, name: str, seen: list[Box], true: list[Box], **fields: str) -> "SetFolder":
        """Add an image that shows the boxes `seen`, annotated as `true`."""
        concept = fields.get("concept", "bright region")
        mask = f"masks/{name}__{concept.replace(' ', '_')}.png"
        save_grey(self.folder / "images" / f"{name}.png", drawn(seen))
        save_grey(self.folder / mask, drawn(true))
        row = {"id": name, "image": f"images/{name}.png", "mask": mask, "concept": concept}
        self.rows.append({**row, "split": "test", "group": name, **fields})
        return self

    def write(self) -> Path:
        """Write the manifest; return the data folder."""
        with (self.folder / "manifest.csv").open("w", newline="", encoding="utf-8") as lines:
            writer = csv.DictWriter(lines, fieldnames=HEAD, restval="")
            writer.writeheader()
            writer.writerows(self.rows)
        return self.folder.parent
