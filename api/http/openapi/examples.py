"""One example of everything that is sent and answered, for the OpenAPI document."""

from typing import Any

Example = dict[str, Any]

IMAGE_ID = "img_4a50f99a0f6315256edfc99f8b6cd22b28f372f9e2140e0ec8b8433a647a1d25"
RUN_ID = "run_5f0c2d9e8b7a41d3a6c4e1f20b3d5a77"
THREAD_ID = "thr_0b8e6f4a2c1d49e7b5a3918f7c6d2e10"
REQUEST = "Outline the breast tumour"
TUMOUR_BOX = [222, 151, 307, 212]

SEGMENT_BODY: Example = {
    "image_id": IMAGE_ID,
    "prompts": [
        {"text": "breast tumor"},
        {"text": "breast tumor", "boxes": [{"box": TUMOUR_BOX, "label": "positive"}]},
    ],
    "threshold": 0.5,
    "max_masks": 5,
}
SEGMENT_FORM: Example = {"concept": ["breast tumor"], "box": "222,151,307,212"}
AGENT_BODY: Example = {"request": REQUEST, "image_id": IMAGE_ID, "max_rounds": 3}
AGENT_FORM: Example = {"request": REQUEST}
IMAGE_BODY: Example = {"image": "data:image/png;base64,iVBORw0KGgo="}

IMAGE: Example = {
    "image_id": IMAGE_ID,
    "width": 400,
    "height": 331,
    "format": "jpeg",
    "modality": None,
    "spacing": None,
    "rendering": "identity",
}
MODEL: Example = {
    "kind": "compact",
    "weights_id": "compact-1",
    "weights_sha256": "9b7f1c0e4d2a6855c3b1f0e7d9a8463257c1b0e9f8d7a6c5b4e3f2d1c0b9a887",
    "adapter": None,
}
DIRECT_MASK: Example = {
    "id": "m1",
    "label": "breast tumor",
    "concept": "breast tumor",
    "rle": {"size": [331, 400], "counts": "ZRj1a0`91O2N1O"},
    "box": [float(side) for side in TUMOUR_BOX],
    "score": 0.93,
    "presence": 0.98,
    "joint": 0.911,
    "area_px": 4102,
    "area_mm2": None,
    "spacing_source": None,
    "round": None,
    "verdict": None,
    "png_url": None,
    "png": None,
}
RUN_MASK: Example = {
    **DIRECT_MASK,
    "label": "breast tumour",
    "round": 1,
    "verdict": "accept",
    "png_url": f"/agent/runs/{RUN_ID}/masks/m1.png",
}
USAGE: Example = {"calls": 0, "input_tokens": 0, "output_tokens": 0}
TARGET: Example = {
    "id": "t1",
    "label": "breast tumour",
    "status": "found",
    "reason": "",
    "masks": [RUN_MASK],
}

SEGMENT: Example = {
    "image": IMAGE,
    "results": [
        {
            "prompt": 0,
            "text": "breast tumor",
            "concept": "breast tumor",
            "known": True,
            "presence": 0.98,
            "reason": None,
            "masks": [DIRECT_MASK],
        }
    ],
    "needs_review": False,
    "embedding_cached": False,
    "provenance": {
        "segmenter": MODEL,
        "planner": None,
        "prompts_version": None,
        "rounds": 0,
        "usage": USAGE,
        "seconds": 0.212,
        "cost": None,
    },
}
RUN: Example = {
    "id": RUN_ID,
    "thread_id": THREAD_ID,
    "created_at": "2026-11-23T19:00:00Z",
    "request": REQUEST,
    "image": IMAGE,
    "status": "found",
    "message": "Found 1 of 1: breast tumour.",
    "needs_review": False,
    "error": None,
    "plan": {"decision": "segment", "modality": "ultrasound", "note": ""},
    "rounds": [
        {
            "number": 1,
            "planner": "rules",
            "calls": [
                {
                    "target": "t1",
                    "concept": "breast tumor",
                    "boxes": [],
                    "threshold": None,
                    "reason": "",
                }
            ],
            "masks": [
                {
                    "id": "m1",
                    "target": "t1",
                    "concept": "breast tumor",
                    "box": RUN_MASK["box"],
                    "joint": 0.911,
                    "area_px": 4102,
                    "verdict": "accept",
                    "issue": "none",
                    "by": "rules",
                    "png_url": RUN_MASK["png_url"],
                }
            ],
            "next": "stop",
            "picture_url": f"/agent/runs/{RUN_ID}/rounds/1.png",
        }
    ],
    "targets": [TARGET],
    "overlay_url": f"/agent/runs/{RUN_ID}/overlay.png",
    "provenance": {
        "segmenter": MODEL,
        "planner": {"kind": "rules", "model": None, "fallbacks": []},
        "prompts_version": "1",
        "rounds": 1,
        "usage": USAGE,
        "seconds": 0.48,
        "cost": None,
    },
}
THREAD: Example = {
    "id": THREAD_ID,
    "created_at": "2026-11-23T19:00:00Z",
    "image": IMAGE,
    "runs": [RUN_ID],
    "requests": [REQUEST],
    "targets": [TARGET],
}
CAPABILITIES: Example = {
    "version": "0.1.0",
    "model": MODEL,
    "concepts": ["breast tumor", "nuclei"],
    "prompts": ["text", "box", "text+box"],
    "negative_boxes": False,
    "threshold": 0.5,
    "thresholds": {"breast tumor": 0.4},
    "adapters": [],
    "postprocess": ["sam3"],
    "planners": {"available": ["rules"], "default": "rules"},
    "egress": "off",
    "image_formats": ["png", "jpeg", "dicom"],
    "mask_formats": ["coco-rle", "png"],
    "limits": {
        "max_upload_bytes": 67108864,
        "max_pixels": 40000000,
        "max_side": 32768,
        "max_prompts": 16,
        "max_boxes": 16,
        "max_points": 32,
        "max_masks": 200,
        "max_text_chars": 100,
        "max_request_chars": 2000,
        "max_targets": 4,
        "max_edits": 20,
        "max_rounds": 3,
        "segment_timeout_s": 120.0,
        "run_timeout_s": 300.0,
        "image_ttl_s": 3600.0,
        "record_ttl_s": 86400.0,
    },
    "disclaimer": "not a medical device",
}
RUNNING: Example = {
    "id": RUN_ID,
    "status": "running",
    "run_url": f"/agent/runs/{RUN_ID}",
    "events_url": f"/agent/runs/{RUN_ID}/events",
    "cancel_url": f"/agent/runs/{RUN_ID}/cancel",
}
LIVE: Example = {"status": "live"}
READY: Example = {"status": "ready", "workers": 1, "model": MODEL}

# By operation id.
ANSWERS: dict[str, Example] = {
    "segment": SEGMENT,
    "agentSegment": RUN,
    "uploadImage": IMAGE,
    "getImage": IMAGE,
    "getRun": RUN,
    "cancelRun": RUNNING,
    "getThread": THREAD,
    "getCapabilities": CAPABILITIES,
    "getLive": LIVE,
    "getReady": READY,
}
