import numpy as np
import pytest

from benchmarks.paper.__main__ import main
from benchmarks.paper.convert import convert, find
from benchmarks.paper.errors import ConversionError
from benchmarks.paper.png import encode_grey, encode_labels
from segmenter.formats.decode import decode
from segmenter.formats.decoded import Window
from tests.benchmarks.paper.folders import (
    SHAPE,
    blob,
    manifest,
    put,
    put_grey,
    put_mask,
    rows,
    targets,
)
from tests.paths import SAMPLES


def test_several_masks_of_a_scan_are_united_and_normal_scans_are_absent(tmp_path) -> None:
    source, out = tmp_path / "busi", tmp_path / "converted"
    folder = source / "Dataset_BUSI_with_GT"
    image = put_grey(folder / "benign/benign (1).png")
    put_grey(folder / "normal/normal (1).png", seed=1)
    put_mask(folder / "benign/benign (1)_mask.png", blob(0, 0, 2, 2))
    put_mask(folder / "benign/benign (1)_mask_1.png", blob(4, 5, 6, 9))
    put_mask(folder / "normal/normal (1)_mask.png", blob(0, 0, 0, 0))
    assert convert(find("busi"), source, out) == 2
    found = targets(out)
    assert (found["benign_1", "breast tumor"] == blob(0, 0, 2, 2) | blob(4, 5, 6, 9)).all()
    assert not found["normal_1", "breast tumor"].any()
    assert rows(out)[0].image.read_bytes() == image
    assert manifest(out)[0]["width"] == "9"
    assert manifest(out)[0]["source_path"] == "Dataset_BUSI_with_GT/benign/benign (1).png"


def test_nuclei_are_united_and_numbered_in_16_bits(tmp_path) -> None:
    source, out = tmp_path / "dsb", tmp_path / "converted"
    put_grey(source / "stage1_train/ab12/images/ab12.png")
    put_mask(source / "stage1_train/ab12/masks/n1.png", blob(0, 0, 2, 3))
    put_mask(source / "stage1_train/ab12/masks/n2.png", blob(3, 4, 6, 8))
    convert(find("DSB 2018"), source, out, "train")
    assert (targets(out, "train")["ab12", "nuclei"] == blob(0, 0, 2, 3) | blob(3, 4, 6, 8)).all()
    labels = (out / manifest(out)[0]["labels"]).read_bytes()
    assert labels[24:26] == bytes([16, 0])
    # This window shows every number as it is.
    shown = decode(labels, window=Window(127.5, 255)).pixels[..., 0]
    assert (shown == np.where(blob(3, 4, 6, 8), 2, blob(0, 0, 2, 3))).all()


def test_label_values_become_concepts(tmp_path) -> None:
    source, out = tmp_path / "ravir", tmp_path / "converted"
    numbers = np.zeros(SHAPE, dtype=np.uint8)
    numbers[1:3, 1:4], numbers[4, 5:] = 128, 255
    put_grey(source / "RAVIR Dataset/train/training_images/IR_1.png")
    put(source / "RAVIR Dataset/train/training_masks/IR_1.png", encode_grey(numbers))
    assert convert(find("ravir"), source, out) == 2
    found = targets(out)
    assert (found["IR_1", "retinal arteries"] == (numbers == 128)).all()
    assert (found["IR_1", "retinal veins"] == (numbers == 255)).all()


def test_the_official_part_is_the_split_unless_one_is_asked_for(tmp_path) -> None:
    source = tmp_path / "isic"
    for part, number in (("Training", 1), ("Test", 2)):
        put_grey(source / f"ISIC2018_Task1-2_{part}_Input/ISIC_000000{number}.jpg")
        put_mask(
            source / f"ISIC2018_Task1_{part}_GroundTruth/ISIC_000000{number}_segmentation.png",
            blob(1, 1, 3, 3),
        )
    convert(find("ISIC 2018"), source, tmp_path / "official")
    convert(find("ISIC 2018"), source, tmp_path / "all", "test")
    assert [row["split"] for row in manifest(tmp_path / "official")] == ["test", "train"]
    assert [row["split"] for row in manifest(tmp_path / "all")] == ["test", "test"]
    assert all(row["image"].endswith(".png") for row in manifest(tmp_path / "all"))


def test_lung_folders_beside_the_infections_are_left_alone(tmp_path) -> None:
    source, out = tmp_path / "covid", tmp_path / "converted"
    folder = source / "Infection Segmentation Data/Test/COVID-19"
    put_grey(folder / "images/c1.png")
    put_mask(folder / "infection masks/c1.png", blob(2, 2, 4, 4))
    put_grey(source / "Lung Segmentation Data/Test/COVID-19/images/c1.png")
    assert convert(find("covid-qu-ex"), source, out) == 1
    assert (targets(out)["Test_COVID-19_c1", "lung infection"] == blob(2, 2, 4, 4)).all()


def test_frames_without_polyp_are_absent_and_sequences_are_groups(tmp_path) -> None:
    source, out = tmp_path / "polypgen", tmp_path / "converted"
    put_grey(source / "sequenceData/positive/seq1/images_seq1/f1.jpg")
    put_mask(source / "sequenceData/positive/seq1/masks_seq1/f1_mask.jpg", blob(0, 0, 1, 1))
    put_grey(source / "sequenceData/negativeOnly/seq2_neg/f1.jpg")
    convert(find("polypgen"), source, out)
    assert {row.id: row.group for row in rows(out)} == {
        "seq1_f1": "seq1",
        "negative_seq2_neg_f1": "negative_seq2_neg",
    }
    assert not targets(out)["negative_seq2_neg_f1", "polyp"].any()
    assert targets(out)["seq1_f1", "polyp"].sum() == 1


def test_cup_and_disc_are_two_concepts(tmp_path) -> None:
    source, out = tmp_path / "rim", tmp_path / "converted"
    put_grey(source / "RIM-ONE_DL_images/partitioned_randomly/test_set/normal/r1_Im001.png")
    masks = source / "RIM-ONE_DL_reference_segmentations/normal"
    put_mask(masks / "r1_Im001-1-Cup-T.png", blob(2, 2, 3, 3))
    put_mask(masks / "r1_Im001-1-Disc-T.png", blob(1, 1, 5, 5))
    convert(find("rim-one"), source, out)
    sizes = {concept: int(mask.sum()) for (_, concept), mask in targets(out).items()}
    assert sizes == {"optic cup": 1, "optic disc": 16}


def test_a_missing_mask_is_named_and_leaves_nothing(tmp_path) -> None:
    source, out = tmp_path / "kvasir", tmp_path / "converted"
    put_grey(source / "Kvasir-SEG/images/k1.jpg")
    with pytest.raises(ConversionError, match=r"no mask Kvasir-SEG/masks/k1\.jpg"):
        convert(find("kvasir seg"), source, out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kvasir"]


def test_a_mask_of_another_size_is_refused(tmp_path) -> None:
    source = tmp_path / "kvasir"
    put_grey(source / "images/k1.jpg")
    put_mask(source / "masks/k1.jpg", np.ones((3, 3), dtype=bool))
    with pytest.raises(ConversionError, match=r"\(3, 3\), its image \(6, 9\)"):
        convert(find("Kvasir-SEG"), source, tmp_path / "out")


def test_the_command_refuses_an_existing_folder(tmp_path, capsys) -> None:
    source, out = tmp_path / "kvasir", tmp_path / "out"
    put_grey(source / "images/k1.jpg")
    put_mask(source / "masks/k1.jpg", blob(0, 0, 2, 2))
    command = ["convert", "Kvasir-SEG", str(source), str(out)]
    assert main(command) == 0
    assert main(command) == 1
    assert "exists and is not overwritten" in capsys.readouterr().err
    assert main(["convert", "nothing", str(source), str(tmp_path / "b")]) == 1


def test_the_list_names_all_datasets(capsys) -> None:
    assert main(["list"]) == 0
    assert capsys.readouterr().out.count("layout:") == 14


def test_a_photograph_is_copied_byte_for_byte(tmp_path) -> None:
    samples = SAMPLES
    source, out = tmp_path / "kvasir", tmp_path / "out"
    image = put(source / "images/k1.jpg", (samples / "busi_tumor.jpg").read_bytes())
    mask = put(source / "masks/k1.jpg", (samples / "busi_tumor_mask.png").read_bytes())
    convert(find("Kvasir-SEG"), source, out)
    assert (out / "images/k1.jpg").read_bytes() == image
    assert (targets(out)["k1", "polyp"] == (decode(mask).pixels[..., 0] > 127)).all()
    assert targets(out)["k1", "polyp"].any()


def test_a_mask_whose_values_would_change_is_refused(tmp_path) -> None:
    source = tmp_path / "kvasir"
    put_grey(source / "images/k1.jpg")
    put(source / "masks/k1.jpg", encode_labels(np.ones(SHAPE, dtype=np.uint16)))
    with pytest.raises(ConversionError, match="is read with other values"):
        convert(find("Kvasir-SEG"), source, tmp_path / "out")
