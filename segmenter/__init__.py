"""Promptable segmentation: contract first, queue and worker behind it."""
