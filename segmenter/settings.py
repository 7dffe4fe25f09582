"""Frozen settings of the segmenter; entry points fill them, nobody here reads a variable."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from segmenter.contract import Frozen
from segmenter.memory_budget import PLENTY_BYTES

MEBIBYTE = 2**20
HOUR_S = 3600.0

Seconds = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]


class QueueSettings(Frozen):
    """How jobs are kept and handed out; every process on one queue uses the same values.

    Attributes:
        prefix: first part of every control key; goes into a hash tag, so all of them share a slot.
        max_depth: jobs queued or running at most. At half a second each, one worker needs two
            minutes for 256: nobody waits longer for an answer.
        lease_s: a worker silent for so long is dead: nobody counts on it and its jobs go to others.
            It shows that it lives every two seconds, from a thread of its own; four seconds late
            takes a process that does not run at all, and then a job is run twice, not lost.
        max_attempts: a job that was started so often without an answer kills workers.
        job_ttl_s: life of a job's state and of its answer after the last change.
        poll_s: longest blocking read; also how long a stop may go unnoticed.
        max_hold_s: a worker busy with one job for longer hangs: it counts as gone, its jobs go to
            others, and a worker process of its own ends itself.
        max_step_s: a worker busy with one job for longer keeps it but counts as gone: whoever came
            now would hardly be served in time.
    """

    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] = "medsam3"
    max_depth: Count = 256
    lease_s: Seconds = 6.0
    max_attempts: Count = 3
    job_ttl_s: Seconds = HOUR_S
    poll_s: Seconds = 1.0
    max_hold_s: Seconds = 600.0
    max_step_s: Seconds = 120.0


class StoreSettings(Frozen):
    """Bounds of stored uploads and records.

    Attributes:
        image_ttl_s: life of an upload after its last use; far above any request's deadline.
        max_image_bytes: one stored upload.
        max_images_bytes: all uploads of an in-process store; Redis has its own ``maxmemory``.
        max_record_bytes: one stored record.
        max_records_bytes: all records of an in-process store.
        max_pixels_bytes: decoded images one process keeps at hand; 256 MiB hold 40 of 1500 x 1500.
    """

    image_ttl_s: Seconds = HOUR_S
    max_image_bytes: Count = 64 * MEBIBYTE
    max_images_bytes: Count = 1024 * MEBIBYTE
    max_record_bytes: Count = 16 * MEBIBYTE
    max_records_bytes: Count = 256 * MEBIBYTE
    max_pixels_bytes: Count = 256 * MEBIBYTE


class WorkerSettings(Frozen):
    """Bounds of one worker.

    Attributes:
        max_batch: jobs leased at once; two rounds of eight callers, so that one image's jobs meet.
        max_embeddings_bytes: embeddings kept; SAM 3 needs about 30 MB an image, the compact
            model 3.3 MB and the picture.
    """

    max_batch: Count = 16
    max_embeddings_bytes: Count = 1024 * MEBIBYTE


class VolumeSettings(Frozen):
    """Bounds of volume jobs.

    Attributes:
        max_bytes: of one upload, all its files together. A CT of 500 slices, 512 x 512 and
            uncompressed, has 250 MiB.
        timeout_s: a job that has not ended by then is not begun again. 1000 frames at SAM 3's 12 s
            a frame on a CPU take 3.3 hours.
        ttl_s: life of all that belongs to a job, after it was written or, for files, last used.
        max_volumes_bytes: files of an in-process store; Redis has its own ``maxmemory``.
    """

    max_bytes: Count = 256 * MEBIBYTE
    timeout_s: Seconds = 6 * HOUR_S
    ttl_s: Seconds = 24 * HOUR_S
    max_volumes_bytes: Count = 1024 * MEBIBYTE


class Sam3Options(Frozen):
    """Which SAM 3, with or without MedSAM-3's LoRA, and how it runs.

    Attributes:
        weights: path, or name on the hub if they are in its local cache; empty for none.
        lora: MedSAM-3's LoRA file, or the folder of an adapter.
        lora_config: YAML that came with a LoRA file.
        lora_alpha: of a LoRA file without YAML.
        merge: merge the LoRA into the weights; base SAM 3 can then not be asked.
        device: of torch; None for the GPU if there is one.
        vision_dtype: of the vision encoder; None for bfloat16 on a GPU and float32 elsewhere.
        detector_dtype: of all else; bfloat16 is faster and moves masks: docs, evaluation.
        compile: let torch compile the vision encoder; the first picture then takes minutes, and a
            CPU needs a C++ compiler.
    """

    weights: str = ""
    lora: Path | None = None
    lora_config: Path | None = None
    lora_alpha: Annotated[float, Field(gt=0.0)] | None = None
    merge: bool = False
    device: Annotated[str, Field(pattern=r"^(cpu|cuda(:[0-9]+)?)$")] | None = None
    vision_dtype: Literal["float32", "bfloat16"] | None = None
    detector_dtype: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False


class SegmenterSettings(Frozen):
    """All of them.

    Attributes:
        working_bytes: what decoding, drawing and looking at pictures may take at once.
    """

    working_bytes: Count = PLENTY_BYTES
    queue: QueueSettings = QueueSettings()
    store: StoreSettings = StoreSettings()
    worker: WorkerSettings = WorkerSettings()
    volume: VolumeSettings = VolumeSettings()

    def for_runs(self, timeout_s: float) -> QueueSettings:
        """Return the queue of agent runs, each of which ends by itself within `timeout_s`.

        A process carries many runs out, most of which are not to blame for its death: one that gets
        no further in twice the usual attempts is.
        """
        hold_s = timeout_s + self.queue.max_hold_s
        return self.queue.model_copy(
            update={
                "prefix": f"{self.queue.prefix[:56]}.runs",
                "max_attempts": 2 * self.queue.max_attempts,
                "max_hold_s": hold_s,
                "max_step_s": hold_s,
            }
        )
