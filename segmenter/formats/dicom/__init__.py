"""DICOM files to pixels and places; the owner of pydicom."""
