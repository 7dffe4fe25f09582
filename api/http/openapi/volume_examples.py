"""One example of everything that is sent and answered about volumes, for the OpenAPI document."""

from api.http.openapi.examples import MODEL, Example

VOLUME_ID = "vol_3c9a0e7d51f24b6f8e2d7a90c4b1f683"
VOLUME_JSON: Example = {"volume_id": VOLUME_ID, "prompt": "myocardium"}
VOLUME_FORM: Example = {"prompt": "left ventricle"}

ASKED: Example = {
    "prompt": "left ventricle",
    "box": None,
    "frame": None,
    "first": 0,
    "last": 9,
    "threshold": None,
}
SEQUENCE: Example = {
    "frames": 10,
    "height": 256,
    "width": 216,
    "format": "nifti",
    "modality": None,
    "rendering": "percentiles 0.5 to 99.5 of the volume",
    "axis": "depth",
    "spacing": {"row_mm": 1.40625, "column_mm": 1.40625, "source": "pixdim"},
    "slice_mm": 10.0,
    "fps": None,
}
OBJECT: Example = {
    "object_id": 1,
    "first": 0,
    "last": 8,
    "frames": 9,
    "gaps": [],
    "single": False,
    "voxels": 6120,
    "volume_ml": 121.03,
    "lowest_joint": 0.71,
}
QUEUED: Example = {
    "id": VOLUME_ID,
    "status": "queued",
    "created_at": "2026-01-02T03:04:05Z",
    "sequence": SEQUENCE,
    "asked": ASKED,
    "progress": {"frames_done": 0, "frames_total": 10},
    "concept": None,
    "known": None,
    "reason": None,
    "objects": None,
    "needs_review": None,
    "frames_url": None,
    "labels_url": None,
    "failure": None,
    "provenance": None,
}
CANCELLED: Example = {
    **QUEUED,
    "status": "cancelled",
    "progress": {"frames_done": 4, "frames_total": 10},
    "failure": {
        "type": "urn:medsam3:problem:job-cancelled",
        "title": "The job was cancelled",
        "detail": "the job was cancelled before it finished",
    },
}
DONE: Example = {
    **QUEUED,
    "status": "done",
    "progress": {"frames_done": 10, "frames_total": 10},
    "concept": "left ventricle",
    "known": True,
    "objects": [OBJECT],
    "needs_review": False,
    "frames_url": f"/segment/volume/{VOLUME_ID}/frames",
    "labels_url": f"/segment/volume/{VOLUME_ID}/labels.nii.gz",
    "provenance": {
        "segmenter": MODEL,
        "planner": None,
        "prompts_version": None,
        "rounds": 0,
        "usage": {"calls": 0, "input_tokens": 0, "output_tokens": 0},
        "seconds": 6.4,
        "cost": None,
    },
}
FRAMES: Example = {
    "frames": [
        {
            "frame": 0,
            "presence": 0.98,
            "reason": None,
            "objects": [
                {
                    "object_id": 1,
                    "rle": {"size": [256, 216], "counts": "ZRj1a0`91O2N1O"},
                    "box": [88.0, 104.0, 121.0, 139.0],
                    "score": 0.93,
                    "presence": 0.98,
                    "joint": 0.911,
                    "area_px": 812,
                }
            ],
        }
    ],
    "next": 1,
}

ANSWERS: dict[str, Example] = {
    "segmentVolume": QUEUED,
    "getVolume": DONE,
    "getVolumeFrames": FRAMES,
    "cancelVolume": CANCELLED,
}
