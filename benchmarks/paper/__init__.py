"""The MedSAM-3 paper beside our figures, and its datasets in our evaluation layout."""
