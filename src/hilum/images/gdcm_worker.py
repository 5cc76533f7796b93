"""A program of its own: one JPEG lossless frame on standard input, its samples on standard output.

GDCM ends its whole process on some broken frames. So it runs in a process that may end, with a limit on its memory.
Arguments: columns, rows, samples, bits allocated, bits stored, pixel representation, planar configuration, megabytes.
"""

from __future__ import annotations

import sys
from contextlib import suppress

import gdcm


def decode(frame: bytes, given: list[int]) -> bytes:
    """Return the frame's samples, little endian."""
    columns, rows, samples, allocated, stored, signed, planar = given
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


def limit_memory(megabytes: int) -> None:
    """Let this process have no more address space than this, where the system can say so, and write no core."""
    with suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Read, decode, write."""
    *given, megabytes = (int(argument) for argument in sys.argv[1:])
    limit_memory(megabytes)
    sys.stdout.buffer.write(decode(sys.stdin.buffer.read(), given))


if __name__ == "__main__":
    main()
