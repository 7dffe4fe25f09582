import zlib

import nibabel
import numpy as np
import pytest

from benchmarks.paper.convert import convert, find
from benchmarks.paper.errors import ConversionError
from benchmarks.paper.polygons import fill
from segmenter.training.dataset import read_picture
from tests.benchmarks.paper.folders import SHAPE, manifest, put, put_grey, rows, targets


def put_nifti(path, slices, sizes) -> None:
    """Store slices (Z, row from the front, column from the right) along +x right, +y front, +z."""
    path.parent.mkdir(parents=True, exist_ok=True)
    turned = np.ascontiguousarray(slices.transpose(2, 1, 0)[::-1, ::-1])
    nibabel.save(nibabel.Nifti1Image(turned, np.diag([*sizes, 1.0])), path)


def put_metaimage(path, values, compressed=False) -> None:
    depth, height, width = values.shape
    name = path.stem + (".zraw" if compressed else ".raw")
    kind = {"int16": "MET_SHORT", "uint8": "MET_UCHAR"}[values.dtype.name]
    content = values.tobytes()
    put(
        path,
        f"ObjectType = Image\nNDims = 3\nCompressedData = {compressed}\n"
        f"ElementSpacing = 0.5 0.75 3\nDimSize = {width} {height} {depth}\n"
        f"ElementType = {kind}\nElementDataFile = {name}\n".encode(),
    )
    put(path.parent / name, zlib.compress(content) if compressed else content)


def liver() -> tuple[np.ndarray, np.ndarray]:
    scan = np.full((3, 4, 5), -1000, dtype=np.int16)
    scan[1, 0, :3] = (-160, 40, 240)
    labels = np.zeros((3, 4, 5), dtype=np.uint8)
    labels[1, 1, 1:4], labels[1, 1, 2] = 1, 2
    labels[2, 3, 0] = 1
    return scan, labels


def test_ct_slices_keep_hounsfield_windows_spacing_and_orientation(tmp_path) -> None:
    source, out = tmp_path / "lits", tmp_path / "converted"
    scan, labels = liver()
    put_nifti(source / "volume-7.nii", scan, (0.7, 0.8, 5.0))
    put_nifti(source / "segmentation-7.nii", labels, (0.7, 0.8, 5.0))
    assert convert(find("LiTS"), source, out) == 3
    found = targets(out)
    assert sorted(found) == [
        ("lits_7_s0001", "liver"),
        ("lits_7_s0001", "liver tumor"),
        ("lits_7_s0002", "liver"),
    ]
    assert (found["lits_7_s0001", "liver"] == (labels[1] > 0)).all()
    assert (found["lits_7_s0001", "liver tumor"] == (labels[1] == 2)).all()
    # The window from -160 to 240 HU: its ends are black and white, its middle 127.5 is rounded.
    assert read_picture(rows(out)[0])[0, :4, 0].tolist() == [0, 128, 255, 0]
    first = manifest(out)[0]
    assert (float(first["spacing_row"]), float(first["spacing_col"])) == pytest.approx((0.8, 0.7))
    assert (first["frame"], first["group"]) == ("1", "lits_7")


def test_slices_without_target_are_kept_as_absent_if_asked(tmp_path) -> None:
    source, out = tmp_path / "lits", tmp_path / "converted"
    scan, labels = liver()
    put_nifti(source / "volume-7.nii", scan, (1, 1, 1))
    put_nifti(source / "segmentation-7.nii", labels, (1, 1, 1))
    assert convert(find("LiTS"), source, out, keep_empty=True) == 6
    assert sum(mask.any() for mask in targets(out).values()) == 3


@pytest.mark.parametrize("compressed", [False, True])
def test_metaimage_volumes_are_read_in_stored_order(tmp_path, compressed) -> None:
    source, out = tmp_path / "promise", tmp_path / "converted"
    scan = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4) * 10
    labels = np.zeros((2, 3, 4), dtype=np.uint8)
    labels[0, 2, 1:] = 1
    put_metaimage(source / "Case03.mhd", scan, compressed)
    put_metaimage(source / "Case03_segmentation.mhd", labels, compressed)
    assert convert(find("promise12"), source, out) == 1
    assert (targets(out)["Case03_s0000", "prostate"] == (labels[0] == 1)).all()
    # Non-zero values are 10, 20 ... 230; percentiles 0.5 and 99.5 of them are 11.1 and 228.9.
    expected = np.rint(np.clip((scan[0] - 11.1) / 217.8, 0, 1) * 255)
    assert (read_picture(rows(out)[0])[..., 0] == expected).all()
    first = manifest(out)[0]
    assert (first["spacing_row"], first["spacing_col"]) == ("0.75", "0.5")


@pytest.mark.parametrize(
    ("name", "image", "labels", "concept"),
    [
        (
            "ISLES 2024",
            "derivatives/sub-stroke0001/ses-02/sub-stroke0001_ses-02_space-ncct_dwi.nii.gz",
            "derivatives/sub-stroke0001/ses-02/sub-stroke0001_ses-02_space-ncct_lesion-msk.nii.gz",
            "ischemic stroke lesion",
        ),
        (
            "Parse2022",
            "train/PA000005/image/PA000005.nii.gz",
            "train/PA000005/label/PA000005.nii.gz",
            "pulmonary artery",
        ),
    ],
)
def test_compressed_nifti_layouts(tmp_path, name, image, labels, concept) -> None:
    scan, numbers = liver()
    numbers[numbers == 2] = 1
    put_nifti(tmp_path / "source" / image, scan, (1, 1, 1))
    put_nifti(tmp_path / "source" / labels, numbers, (1, 1, 1))
    convert(find(name), tmp_path / "source", tmp_path / "converted")
    found = targets(tmp_path / "converted")
    assert [key[1] for key in found] == [concept, concept]
    assert all((mask == numbers[z]).all() for mask, z in zip(found.values(), (1, 2), strict=True))


def test_a_volume_without_labels_or_values_is_named(tmp_path) -> None:
    scan, _ = liver()
    put_metaimage(tmp_path / "s/Case00.mhd", scan)
    with pytest.raises(ConversionError, match=r"0 label volumes Case00_segmentation\.mhd"):
        convert(find("PROMISE12"), tmp_path / "s", tmp_path / "out")
    put_metaimage(tmp_path / "s/Case00_segmentation.mhd", scan)
    put(tmp_path / "s/Case00.raw", b"short")
    with pytest.raises(ConversionError, match="holds 5 bytes, 120 are declared"):
        convert(find("PROMISE12"), tmp_path / "s", tmp_path / "out")
    with pytest.raises(ConversionError, match="no volume below"):
        convert(find("LiTS"), tmp_path / "s", tmp_path / "out")


def test_outlines_are_filled_united_and_numbered(tmp_path) -> None:
    source, out = tmp_path / "monuseg", tmp_path / "converted"
    put_grey(source / "Tissue Images/TCGA-1.png")
    squares = (((1, 1), (4, 1), (4, 3), (1, 3)), ((6, 2), (9, 2), (9, 6), (6, 6)))
    regions = "".join(
        "<Region><Vertices>"
        + "".join(f'<Vertex X="{x}" Y="{y}"/>' for x, y in square)
        + "</Vertices></Region>"
        for square in squares
    )
    xml = f"<Annotations><Annotation><Regions>{regions}</Regions></Annotation></Annotations>"
    put(source / "Annotations/TCGA-1.xml", xml.encode())
    convert(find("monuseg"), source, out)
    expected = np.zeros(SHAPE, dtype=bool)
    expected[1:3, 1:4] = True
    expected[2:6, 6:9] = True
    assert (targets(out)["TCGA-1", "nuclei"] == expected).all()
    assert manifest(out)[0]["labels"] == "labels/TCGA-1.png"


def test_a_triangle_holds_the_centres_inside_it() -> None:
    triangle = np.array([(0.0, 0.0), (4.0, 0.0), (0.0, 4.0)])
    # Centres with x + y < 4; those on the slanted edge (x + y = 4) are outside.
    assert fill(triangle, (4, 4)).sum(axis=1).tolist() == [3, 2, 1, 0]


def test_outlines_without_image_and_broken_xml_are_named(tmp_path) -> None:
    put(tmp_path / "s/TCGA-2.xml", b"<Annotations/>")
    with pytest.raises(ConversionError, match=r"TCGA-2\.xml"):
        convert(find("MoNuSeg"), tmp_path / "s", tmp_path / "out")
    put_grey(tmp_path / "s/TCGA-2.png")
    with pytest.raises(ConversionError, match="no Region element"):
        convert(find("MoNuSeg"), tmp_path / "s", tmp_path / "out")
