"""Encoded frames of DICOM files: what they are, checked, and decoded."""
