"""A person's own folders of images and masks as cases, matched by name."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from api.cli.output import UsageFault
from benchmarks.evaluation.cases import listed
from benchmarks.evaluation.records import Case

OWN_SET = "own"


def own_cases(images: Path, masks: Path, phrase: str, *, missing_is_absent: bool) -> list[Case]:
    """Return a case per image of a folder, with the mask of the same stem.

    A mask of ``<stem>`` is named ``<stem>.*``, ``<stem>_mask.*`` or ``<stem>__*.*``.

    Args:
        images: folder of pictures, in any format read here.
        masks: folder of masks; where they are not black is the target.
        phrase: to ask with.
        missing_is_absent: whether an image without mask certainly lacks the target.

    Raises:
        UsageFault: no image, an image without mask, or with several.
    """
    stems = {path.stem: path for path in _files(images)}
    if len(stems) != len(_files(images)):
        raise UsageFault(f"several images of {images} share a name")
    found = {stem: _masks_of(stem, _files(masks), stems) for stem in stems}
    several = [stem for stem, paths in found.items() if len(paths) > 1]
    if several:
        raise UsageFault(f"several masks in {masks} for {listed(several)}")
    bare = [stem for stem, paths in found.items() if not paths]
    if bare and not missing_is_absent:
        raise UsageFault(
            f"no mask in {masks} for {listed(bare)}; --missing-is-absent if they lack the target"
        )
    return [
        Case(
            dataset=OWN_SET,
            image_id=stem,
            concept=phrase,
            phrase=phrase,
            group=stem,
            image=path,
            mask=next(iter(found[stem]), None),
        )
        for stem, path in stems.items()
    ]


def _files(folder: Path) -> list[Path]:
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    files = [path for path in files if path.is_file() and not path.name.startswith(".")]
    if not files:
        raise UsageFault(f"no files in {folder}")
    return files


def _masks_of(stem: str, masks: Iterable[Path], stems: Mapping[str, Path]) -> list[Path]:
    """Return the masks of a stem; a file named exactly like another image is not ours."""
    return [
        path
        for path in masks
        if path != stems[stem]
        and (
            path.stem in (stem, f"{stem}_mask")
            or (path.stem.startswith(f"{stem}__") and path.stem not in stems)
        )
    ]
