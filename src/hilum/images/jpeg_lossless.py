"""One JPEG lossless frame, decoded by GDCM, which ends its whole process on some broken frames."""

from __future__ import annotations

import gdcm


def decode_lossless(
    frame: bytes, columns: int, rows: int, samples: int, allocated: int, stored: int, signed: int, planar: int
) -> bytes:
    """Return the frame's samples, little endian, in words of ``allocated`` bits; fewer or none where it is broken."""
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(frame)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    meaning = gdcm.PhotometricInterpretation.MONOCHROME2 if samples == 1 else gdcm.PhotometricInterpretation.RGB
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((columns, rows, 1))
    image.SetPixelFormat(gdcm.PixelFormat(samples, allocated, stored, stored - 1, signed))
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(meaning))
    image.SetPlanarConfiguration(planar)
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14))
    image.SetDataElement(element)
    # GDCM gives bytes as a string.
    buffer: str = image.GetBuffer()
    return buffer.encode("utf-8", "surrogateescape")
