"""What all sides share: which networks, which files. Imports nothing, so that it takes no side's time."""

from __future__ import annotations

THREE = ("densenet121-nih", "mobilenetv2-nih", "hilumcnn-nih")
"""The networks that every side has, with the same weights."""
FORMS = {"jpeg": "film.jpg", "png": "film.png", "dicom": "raw.dcm", "j2k": "j2k.dcm"}
"""A film of 2500 × 2048, the PNG of 1024²."""
BATCH = 16
"""Films of a batch."""
SIZE = 224
GEMM = 1536
"""Rows and columns of the matrices whose product is the peak."""
