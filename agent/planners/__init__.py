"""Who plans and judges: rules, or an MLLM."""
