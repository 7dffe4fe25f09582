"""Masks of stored pictures: measured with the values of the file, in bounded memory."""

import asyncio
import tracemalloc

import numpy as np

from segmenter.contract import BinaryMask, ImageRef, Mask, Spacing
from segmenter.formats.decode import read_header
from segmenter.formats.limits import DEFAULT_LIMITS
from segmenter.masks import rle
from segmenter.masks.geometry import mask_box
from segmenter.measures.mask import measure
from segmenter.measuring import measured
from segmenter.memory_budget import WorkingMemory, measuring_bytes
from segmenter.services import decoder
from segmenter.storage.contract import BlobStore
from segmenter.storage.images import StoredImages
from segmenter.storage.memory import MemoryStore
from tests.segmenter.formats.build import dicom

HU = (np.arange(48, dtype=np.int16) * 10).reshape(1, 48).repeat(32, axis=0)
CT = dicom(HU, RescaleSlope="1", RescaleIntercept="-200", PixelSpacing=["0.5", "0.25"])
MEBIBYTE = 2**20


def mask_of(pixels: BinaryMask) -> Mask:
    box = mask_box(pixels)
    assert box is not None
    area = int(pixels.sum())
    return Mask(
        rle=rle.encode(pixels), box=box, score=1, presence=1, joint=1, area_px=area, stability=1
    )


def block() -> BinaryMask:
    pixels = np.zeros(HU.shape, bool)
    pixels[8:16, 10:20] = True
    return pixels


def make_images(memory: WorkingMemory) -> StoredImages:
    store = MemoryStore(max_bytes=MEBIBYTE, max_item_bytes=MEBIBYTE)
    blobs = BlobStore(store, ttl_s=60)
    return StoredImages(blobs, decoder(DEFAULT_LIMITS), max_pixels_bytes=MEBIBYTE, memory=memory)


def test_a_mask_of_a_ct_has_hounsfield_units_and_millimetres():
    async def scenario():
        memory = WorkingMemory(100 * MEBIBYTE)
        images = make_images(memory)
        ref = await images.put(CT)
        found = await measured({"m1": mask_of(block())}, ref, images, memory)
        assert memory.used_bytes == 0
        return found

    [(mask_id, measures)] = asyncio.run(scenario()).items()
    assert mask_id == "m1"
    assert (measures.width.mm, measures.height.mm) == (2.5, 4.0)
    assert measures.spacing_source == "PixelSpacing"
    assert measures.intensity is not None
    assert (measures.intensity.mean, measures.intensity.unit) == (145 - 200, "HU")


def test_an_image_that_has_gone_leaves_its_values_out_and_nothing_else():
    async def scenario():
        memory = WorkingMemory(100 * MEBIBYTE)
        images = make_images(memory)
        ref = await images.put(CT)
        await images.delete(ref)
        return await measured({"m1": mask_of(block())}, ref, images, memory)

    found = asyncio.run(scenario())["m1"]
    assert (found.area_px, found.intensity) == (80, None)


def test_without_memory_nothing_is_measured_and_nothing_fails():
    async def scenario():
        images = make_images(WorkingMemory(100 * MEBIBYTE))
        ref = await images.put(CT)
        tight = WorkingMemory(measuring_bytes(HU.size) - 1)
        return await measured({"m1": mask_of(block())}, ref, images, tight)

    assert asyncio.run(scenario()) == {}


def test_nothing_is_read_where_there_is_no_mask():
    image = ImageRef(sha256="0" * 64, width=4, height=4, format="png")
    memory = WorkingMemory(0)
    assert asyncio.run(measured({}, image, make_images(memory), memory)) == {}


def test_measuring_takes_no_more_memory_than_it_asks_for():
    """The largest mask there is: the whole picture, and every value of it."""
    side = 1500
    encoded = rle.encode(np.ones((side, side), bool))
    stored = np.ones((side, side), np.int16)
    content = dicom(stored, RescaleSlope="1", RescaleIntercept="0")
    read = read_header(content).values
    assert read is not None
    values = read()
    spacing = Spacing(row_mm=1, column_mm=1, source="PixelSpacing")
    measure(rle.decode(encoded), spacing, values)
    tracemalloc.start()
    measure(rle.decode(encoded), spacing, values)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak + values.pixels.nbytes <= measuring_bytes(side * side)
