"""Which file of an upload has the voxels of a header that stands alone."""

from collections.abc import Sequence

from segmenter.errors import UnsupportedImage
from segmenter.formats.archive import Member
from segmenter.formats.frames import SkippedFile
from segmenter.formats.limits import Limits
from segmenter.formats.strays import MAX_TOLD, is_document
from segmenter.formats.volumes.files import is_detached, takes


def raw_voxels(
    members: Sequence[Member], volumes: Sequence[Member], limits: Limits
) -> Member | None:
    """Return the one file of just the bytes that the one header without voxels declares.

    Voxels begin like anything: as a text, a picture or a film.

    Args:
        members: of an upload.
        volumes: those of them that are volumes, or headers of one.
        limits: see `segmenter.formats.volumes.files`.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    if len(members) == 1:
        return None
    headers = [each for each in volumes if is_detached(each.read())]
    if len(headers) != 1:
        return None
    (header,) = headers
    shown = [each for each in members if each is not header and not each.hidden]
    fitting = [each for each in shown if takes(header.read(), each.size, limits)]
    return fitting[0] if len(fitting) == 1 else None


def likely_voxels(
    header: Member, members: Sequence[Member], strays: Sequence[SkippedFile]
) -> Member | None:
    """Return the file with the voxels of a header that has none; None if it has them, or is alone.

    Raises:
        UnsupportedImage: several files could be it.
    """
    if len(members) == 1 or not is_detached(header.read()):
        return None
    # Voxels begin like anything, so what has a name may be they too; what people read is not.
    likely = {each.file for each in strays if not is_document(each.what)}
    if len(likely) > 1:
        raise UnsupportedImage(
            f"the header of a volume and {len(likely)} files that may be its voxels (files"
            f" {', '.join(map(str, sorted(likely)[:MAX_TOLD]))}): send the two that belong together"
        )
    return next((each for each in members if each.number in likely), None)
