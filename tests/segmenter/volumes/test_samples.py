"""Volume jobs on real files with the bundled model: how good, and what a killed worker costs."""

import asyncio
import gzip
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from uuid import uuid4

import nibabel
import numpy as np
import pytest

from segmenter.backends.compact.backend import CompactBackend
from segmenter.errors import SegmenterError
from segmenter.formats.limits import Limits
from segmenter.formats.raster.image import decode_mask_png
from segmenter.masks import rle
from segmenter.masks.geometry import dice
from segmenter.services import SegmenterServices, decoder, open_embedded, open_redis
from segmenter.settings import QueueSettings, SegmenterSettings
from segmenter.volumes.contract import FrameResult, VolumeRequest, VolumeStatus
from tests.paths import ROOT, SHARED

PATIENCE_S = 120.0
SETTINGS = SegmenterSettings(queue=QueueSettings(poll_s=0.05))
CARDIAC = "nifti/cardiac_mr_acdc"


@pytest.fixture
def sample() -> Callable[[str], bytes]:
    folder = SHARED / "samples"

    def read(name: str) -> bytes:
        if not (folder / name).exists():
            pytest.skip(f"no sample file {folder / name} (set MEDSAM3_SHARED)")
        return (folder / name).read_bytes()

    return read


def labels_in(content: bytes) -> np.ndarray:
    return np.asarray(nibabel.Nifti1Image.from_bytes(gzip.decompress(content)).dataobj)


async def begin(services: SegmenterServices, files: list[bytes], request: VolumeRequest) -> str:
    def reader(content: bytes):
        stream = BytesIO(content)

        async def read(size: int) -> bytes:
            return stream.read(size)

        return read

    readers = [reader(content) for content in files]
    return (await services.volumes.create(uuid4().hex, readers, request)).record.public_id


async def until(
    services: SegmenterServices, job: str, state: str, *, done: int = 0
) -> VolumeStatus:
    while True:
        status = await services.volumes.status(job)
        if status.state == state and status.done >= done:
            return status
        assert status.failure is None, status.failure
        await asyncio.sleep(0.02)


def segment(
    files: list[bytes], request: VolumeRequest
) -> tuple[VolumeStatus, list[FrameResult], bytes]:
    async def within():
        backend = CompactBackend(threads=1)
        opened = open_embedded(backend, decoder(Limits()), SETTINGS)
        async with asyncio.timeout(PATIENCE_S), opened as services:
            job = await begin(services, files, request)
            status = await until(services, job, "done")
            frames = await services.volumes.frames(job, 0, 10_000)
            return status, frames, await services.volumes.label_map(job)

    return asyncio.run(within())


# The volume is of the training split: this shows that nothing is mirrored or shifted on the way,
# not how good the model is.
@pytest.mark.parametrize(
    ("concept", "label", "least"),
    [
        pytest.param("left ventricle", 3, 0.93, id="left ventricle"),
        pytest.param("myocardium", 2, 0.78, id="myocardium"),
        pytest.param("right ventricle", 1, 0.70, id="right ventricle"),
    ],
)
def test_a_cardiac_volume_is_labelled_in_its_own_grid(sample, concept, label, least):
    content = sample(f"{CARDIAC}.nii.gz")
    truth = labels_in(sample(f"{CARDIAC}_labels.nii.gz")) == label
    status, _, label_map = segment([content], VolumeRequest(text=concept))
    found = labels_in(label_map) > 0
    assert found.shape == truth.shape
    assert dice(found, truth) >= least
    source = nibabel.Nifti1Image.from_bytes(gzip.decompress(content))
    written = nibabel.Nifti1Image.from_bytes(gzip.decompress(label_map))
    assert np.allclose(written.affine, source.affine, atol=1e-3)
    largest = max(status.result.objects, key=lambda each: each.voxels)
    # 1.40625 x 1.40625 x 10 mm.
    assert largest.volume_ml == pytest.approx(largest.voxels * 1.40625**2 * 10 / 1000, rel=1e-4)


def test_a_polyp_is_found_in_a_clip(sample):
    masks = [
        decode_mask_png(sample(f"video/polyp_cvc_clip_masks/{number:03}.png"))
        for number in range(25)
    ]
    clip = sample("video/polyp_cvc_clip.mp4")
    status, frames, _ = segment([clip], VolumeRequest(text="polyp"))
    assert status.record.shape.axis == "time"
    found = np.zeros((25, *masks[0].shape), dtype=bool)
    for frame in frames:
        for shown in frame.objects:
            found[frame.index] |= rle.decode(shown.rle)
    assert dice(found, np.stack(masks)) >= 0.5


def test_a_volume_survives_a_killed_worker_with_the_same_label_map(sample, redis_server, prefix):
    content = sample("nifti/ct_small_totalseg.nii.gz")
    request = VolumeRequest(text="left ventricle")
    whole = segment([content], request)[2]
    queue = QueueSettings(prefix=prefix, poll_s=0.1, lease_s=1.0)
    settings = SegmenterSettings(queue=queue)

    def spawn() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.segmenter.compact_worker_process"]
        return subprocess.Popen([*command, redis_server.url, settings.model_dump_json()], cwd=ROOT)

    async def within():
        opened = open_redis(redis_server.url, decoder(Limits()), settings)
        async with asyncio.timeout(PATIENCE_S), opened as services:
            job = await begin(services, [content], request)
            victim = spawn()
            left = await until(services, job, "running", done=4)
            victim.kill()
            victim.wait(PATIENCE_S)
            assert left.done < left.record.total
            heir = spawn()
            try:
                await until(services, job, "done")
            finally:
                heir.terminate()
                assert heir.wait(PATIENCE_S) == 0
            return await services.volumes.label_map(job)

    assert (labels_in(asyncio.run(within())) == labels_in(whole)).all()


@pytest.mark.parametrize(
    "name",
    ["broken/truncated.nii.gz", "broken/nifti_huge_dims.nii", "broken/truncated_no_moov.mp4"],
)
def test_broken_files_are_refused_before_a_job_exists(sample, name):
    with pytest.raises(SegmenterError) as caught:
        segment([sample(name)], VolumeRequest(text="liver"))
    assert getattr(caught.value, "field", "") == "files"
