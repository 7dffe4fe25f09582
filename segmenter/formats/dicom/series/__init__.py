"""DICOM files to one sequence: which belong together, in which order, on which grid."""
