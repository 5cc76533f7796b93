"""The same film gives the same answer, in whatever lossless encoding and whatever way of writing its grey scale it comes.

Films: a real radiograph of 15 bits from pydicom-data, and two that ship. Read by the weights that ship.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import data_store
import gdcm
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import convert_color_space
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from hilum import analyze, open_engine, read_image
from hilum.pipeline import Engine

TOLERANCE = 1e-3
REDUCED_TOLERANCE = 0.02
"""Networks that learnt from sharp films tell apart two ways of making a film smaller."""
RADIOGRAPH = Path(data_store.__path__[0]) / "data" / "RG1_UNCR.dcm"
GALLERY = Path(__file__).parents[2] / "src/hilum/server/static/gallery"
HTJ2K = Path(__file__).parents[1] / "golden/images/effusion-htj2k.j2c"
FILMS = ("RG1", "effusion", "pneumothorax")
Make = Callable[..., Any]


@pytest.fixture(scope="module")
def engine() -> Engine:
    """The weights that ship."""
    return open_engine(threads=1)


@pytest.fixture(scope="module")
def films() -> dict[str, tuple[np.ndarray, int]]:
    """Stored values as MONOCHROME2, without 0 and the highest, and their bits."""
    radiograph = dcmread(RADIOGRAPH)
    found = {"RG1": (np.clip(32767 - radiograph.pixel_array, 1, 32766).astype(np.uint16), 15)}
    for name in FILMS[1:]:
        with Image.open(GALLERY / f"{name}.jpg") as image:
            found[name] = (np.clip(np.asarray(image.convert("L")).astype(np.uint16) * 16 + 7, 1, 4094), 12)
    return found


@pytest.fixture(scope="module")
def known() -> dict[str, dict[str, float]]:
    """Answers of this module's films as they are."""
    return {}


def answer(data: bytes, engine: Engine, enough: int | None = None) -> dict[str, float]:
    """Return every probability and every member's score by name."""
    analysis = analyze(read_image(data, enough=enough), engine)
    assert analysis.verdict.accepted
    found = {finding.name: finding.probability for finding in analysis.findings}
    for member in analysis.members:
        found |= {f"{member.model} {one.name}": one.score for one in member.predictions}
    return {name: value for name, value in found.items() if value is not None}


def farthest(one: dict[str, float], other: dict[str, float]) -> float:
    assert one.keys() == other.keys()
    return max(abs(one[name] - other[name]) for name in one)


def window(stored: np.ndarray, bits: int) -> dict[str, str]:
    """Return a window that clips a little at both ends."""
    return {"WindowCenter": str(1 << bits - 1), "WindowWidth": str((1 << bits) * 7 // 8)}


@pytest.fixture
def base(films, make_data_set) -> Callable[[str], Dataset]:
    """``base(name)`` → the film as a plain MONOCHROME2 object with a window."""

    def make(name: str, stored: np.ndarray | None = None, bits: int | None = None, **elements: object) -> Dataset:
        film, depth = films[name]
        given = {key: value for key, value in {**window(film, depth), **elements}.items() if value is not None}
        return make_data_set(film if stored is None else stored, bits or depth, **given)

    return make


@pytest.fixture
def check(base, write, engine, known) -> Callable[[str, bytes], None]:
    """``check(name, data)``: these bytes give the film's answer."""

    def same(name: str, data: bytes) -> None:
        if name not in known:
            known[name] = answer(write(base(name)), engine)
        assert farthest(answer(data, engine), known[name]) <= TOLERANCE

    return same


def big_endian(dataset: Dataset, write: Make) -> bytes:
    dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    return write(dataset, ExplicitVRBigEndian)


def bare(dataset: Dataset, implicit: bool) -> bytes:
    """Return the data set alone: no preamble, no file meta information."""
    file = BytesIO()
    dataset.save_as(file, implicit_vr=implicit, little_endian=True)
    return file.getvalue()


@pytest.fixture
def encodings(write, compress, transcode) -> dict[str, Callable[[Dataset], bytes]]:
    """Every lossless way to write the same samples."""
    gdcm_syntax = gdcm.TransferSyntax
    return {
        "explicit": lambda it: write(it, ExplicitVRLittleEndian),
        "implicit": lambda it: write(it, ImplicitVRLittleEndian),
        "big endian": lambda it: big_endian(it, write),
        "deflated": lambda it: write(it, DeflatedExplicitVRLittleEndian),
        "RLE": lambda it: compress(it, RLELossless),
        "JPEG lossless, process 14": lambda it: transcode(write(it), gdcm_syntax.JPEGLosslessProcess14),
        "JPEG lossless, first order": lambda it: transcode(write(it), gdcm_syntax.JPEGLosslessProcess14_1),
        "JPEG-LS": lambda it: compress(it, JPEGLSLossless),
        "JPEG 2000": lambda it: compress(it, JPEG2000Lossless),
        "no Part 10, explicit": lambda it: bare(it, implicit=False),
        "no Part 10, implicit": lambda it: bare(it, implicit=True),
        "a preamble of HTML": lambda it: b"<html><script>".ljust(128) + write(it)[128:],
    }


ENCODINGS = (
    "explicit", "implicit", "big endian", "deflated", "RLE", "JPEG lossless, process 14", "JPEG lossless, first order", "JPEG-LS",
    "JPEG 2000", "no Part 10, explicit", "no Part 10, implicit", "a preamble of HTML",
)  # fmt: skip


@pytest.mark.parametrize("film", FILMS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_same_samples_give_the_same_answer(base, check, encodings, film, encoding):
    """However the same samples are encoded without loss, probabilities and scores stay."""
    assert set(encodings) == set(ENCODINGS)
    check(film, encodings[encoding](base(film)))


def table(entries: np.ndarray, first: int, bits: int) -> list[Dataset]:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries) % 65536, first, bits])
    item.add_new("LUTData", "OW", entries.astype("<u2").tobytes())
    return [item]


def as_table(bits: int) -> list[Dataset]:
    """Return the VOI LUT that says what ``window`` does."""
    values = np.arange(1 << bits, dtype=np.float64)
    centre, width = 1 << bits - 1, (1 << bits) * 7 // 8
    return table(np.rint(65535 * np.clip((values - centre + 0.5) / (width - 1) + 0.5, 0, 1)), 0, 16)


NO_WINDOW = {"WindowCenter": None, "WindowWidth": None}


def mirrored(stored: np.ndarray, bits: int) -> dict[str, Any]:
    """Return the film with its polarity turned in the pixels, and the window with it."""
    top = (1 << bits) - 1
    # A window's middle lies half a value below its centre.
    return {"stored": (top - stored).astype(np.uint16), "WindowCenter": str(top - (1 << bits - 1) + 1)}


FORMS: dict[str, Callable[[np.ndarray, int], dict[str, Any]]] = {
    "MONOCHROME1": lambda it, bits: mirrored(it, bits) | {"PhotometricInterpretation": "MONOCHROME1"},
    "inverse presentation": lambda it, bits: mirrored(it, bits) | {"PresentationLUTShape": "INVERSE"},
    "16 bits stored": lambda it, bits: {"bits": 16},
    "signed, rescaled": lambda it, bits: {
        "stored": (it.astype(np.int32) - (1 << bits - 1)).astype(np.int16),
        "RescaleSlope": "1",
        "RescaleIntercept": str(1 << bits - 1),
    },
    "signed, shifted window": lambda it, bits: {
        "stored": (it.astype(np.int32) - (1 << bits - 1)).astype(np.int16),
        "WindowCenter": "0",
    },
    "bits at the top of the word": lambda it, bits: {
        "stored": (it << 16 - bits).astype(np.uint16),
        "HighBit": 15,
        "bits": bits,
    },
    "bits at the top, something below": lambda it, bits: {
        "stored": (it << 16 - bits | 1).astype(np.uint16),
        "HighBit": 15,
        "bits": bits,
    },
    "an overlay in the high bits": lambda it, bits: {"stored": (it | (1 << bits)).astype(np.uint16), "bits": bits},
    "signed, an overlay in the high bit": lambda it, bits: {
        "stored": ((it.astype(np.int32) - (1 << bits - 1)) & ((1 << bits) - 1)).astype(np.uint16).view(np.int16),
        "WindowCenter": "0",
    },
    "exact window": lambda it, bits: {
        "VOILUTFunction": "LINEAR_EXACT",
        "WindowCenter": str((1 << bits - 1) - 0.5),
        "WindowWidth": str((1 << bits) * 7 // 8 - 1),
    },
    "several windows": lambda it, bits: {
        "WindowCenter": [str(1 << bits - 1), "5"],
        "WindowWidth": [str((1 << bits) * 7 // 8), "9"],
    },
    "a VOI LUT": lambda it, bits: NO_WINDOW | {"VOILUTSequence": as_table(bits)},
    "a modality LUT that does nothing": lambda it, bits: {"ModalityLUTSequence": table(np.arange(1 << bits), 0, 16)},
    "rescaled, and the window with it": lambda it, bits: {
        "RescaleSlope": "2",
        "RescaleIntercept": "-100",
        "VOILUTFunction": "LINEAR_EXACT",
        "WindowCenter": str(2 * ((1 << bits - 1) - 0.5) - 100),
        "WindowWidth": str(2 * ((1 << bits) * 7 // 8 - 1)),
    },
    "several frames": lambda it, bits: {
        "NumberOfFrames": 2,
        "PixelData": it.tobytes() + it[::-1].tobytes(),
    },
    "no distances": lambda it, bits: {"PixelSpacing": [0, 0]},
    "padding that no pixel has": lambda it, bits: {"PixelPaddingValue": 0},
}


@pytest.mark.parametrize("film", FILMS)
@pytest.mark.parametrize("form", FORMS)
def test_the_same_grey_scale_gives_the_same_answer(base, check, films, write, film, form):
    """However polarity, sign, depth, window or table are written, what is shown stays, and so does the answer."""
    check(film, write(base(film, **FORMS[form](*films[film]))))


@pytest.mark.parametrize("film", FILMS[1:])
def test_padding_is_the_same_as_black(base, films, write, engine, film):
    """A border of padding, whatever its value and polarity, reads like a black one."""
    stored, bits = films[film]
    black, padded = stored.copy(), stored.copy()
    black[:20], padded[:20] = 0, (1 << bits) - 1
    plain = answer(write(base(film, stored=black)), engine)
    top = (1 << bits) - 1
    for data in (
        base(film, stored=padded, PixelPaddingValue=top),
        base(film, **mirrored(padded, bits), PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=0),
    ):
        assert farthest(answer(write(data), engine), plain) <= TOLERANCE


def test_private_elements_and_overlays_change_nothing(base, check, write):
    """Private elements, sequences in them, and overlays in elements of their own are passed over."""
    dataset = base("effusion")
    block = dataset.private_block(0x0029, "SOMEBODY", create=True)
    inner = Dataset()
    inner.Rows, inner.BitsStored, inner.WindowWidth = 7, 3, "3"
    block.add_new(1, "SQ", [inner, inner])
    block.add_new(2, "UN", b"\xfe\xff\x0d\xe0" * 9)
    dataset.add_new(0x60000010, "US", 256)
    dataset.add_new(0x60000011, "US", 256)
    dataset.add_new(0x60003000, "OW", b"\xff" * (256 * 256 // 8))
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
        check("effusion", write(dataset, syntax))


@pytest.mark.parametrize("film", FILMS[1:])
def test_colour_that_is_grey_gives_the_same_answer(films, make_data_set, write, compress, engine, film):
    """A grey film of 8 bits as RGB in either order, YBR, palette, RLE, JPEG-LS and PNG reads like itself."""
    eight = (films[film][0] >> 4).astype(np.uint8)
    plain = answer(write(make_data_set(eight, 8, WindowCenter="128", WindowWidth="256")), engine)
    rgb = np.repeat(eight[..., np.newaxis], 3, axis=2)
    planes = make_data_set(rgb, 8, PlanarConfiguration=1)
    planes.PixelData = np.moveaxis(rgb, 2, 0).tobytes()
    ybr = make_data_set(convert_color_space(rgb, "RGB", "YBR_FULL"), 8, PhotometricInterpretation="YBR_FULL")
    palette = make_data_set(eight, 8, PhotometricInterpretation="PALETTE COLOR")
    for colour in ("Red", "Green", "Blue"):
        setattr(palette, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        palette[f"{colour}PaletteColorLookupTableDescriptor"].VR = "US"
        setattr(palette, f"{colour}PaletteColorLookupTableData", (np.arange(256, dtype="<u2") * 257).tobytes())
    png = BytesIO()
    Image.fromarray(eight).save(png, "PNG")
    compressed = [compress(make_data_set(rgb, 8), syntax) for syntax in (RLELossless, JPEGLSLossless)]
    forms = [*map(write, (make_data_set(rgb, 8), planes, ybr, palette)), *compressed, png.getvalue()]
    for data in forms:
        assert farthest(answer(data, engine), plain) <= TOLERANCE


@pytest.mark.parametrize("kind", ["R", "I"])
def test_a_real_file_and_its_copy_agree(engine, kind):
    """A radiograph as its makers gave it, in JPEG 2000 (lossless, lossy) and as they decoded that, reads the same."""
    plain, compressed = ((RADIOGRAPH.parent / f"RG1_{form}{kind}.dcm").read_bytes() for form in ("UNC", "J2K"))
    assert farthest(answer(compressed, engine), answer(plain, engine)) <= TOLERANCE


def test_high_throughput_jpeg_2000_gives_the_same_answer(base, check, write):
    """The same samples in a codestream that imagecodecs' `htj2k_encode(stored, reversible=True)` made give the same answer."""
    dataset = base("effusion")
    dataset.PixelData = encapsulate([HTJ2K.read_bytes()])
    dataset["PixelData"].is_undefined_length = True
    for syntax in (HTJ2KLossless, HTJ2KLosslessRPCL):
        check("effusion", write(dataset, syntax))


@pytest.mark.parametrize("film", FILMS)
def test_a_lower_resolution_gives_nearly_the_same_answer(base, compress, films, engine, film):
    """JPEG 2000 decoded at half its resolution, still above what the networks take, moves no probability by 0.02."""
    data = compress(base(film, stored=enlarged(films[film][0])), JPEG2000Lossless)
    reduced = read_image(data, enough=900)
    assert reduced.source.notes[-1] == "decoded at 1/2 of its resolution"
    assert 900 <= min(reduced.pixels.shape) < 1100
    assert farthest(answer(data, engine, enough=900), answer(data, engine)) <= REDUCED_TOLERANCE


@pytest.mark.parametrize("film", FILMS)
def test_a_jpeg_of_lower_resolution_gives_nearly_the_same_answer(films, engine, film):
    """A JPEG decoded at half its resolution moves no probability by 0.02."""
    stored = enlarged(films[film][0])
    file = BytesIO()
    Image.fromarray((stored.astype(np.float64) / stored.max() * 255).astype(np.uint8)).save(file, "JPEG", quality=95)
    assert read_image(file.getvalue(), enough=900).source.notes == ("decoded at 1/2 of its resolution",)
    assert farthest(answer(file.getvalue(), engine, enough=900), answer(file.getvalue(), engine)) <= REDUCED_TOLERANCE


def enlarged(stored: np.ndarray) -> np.ndarray:
    """Return a film as large as detectors give it."""
    if min(stored.shape) >= 1800:
        return stored
    large = Image.fromarray(stored.astype(np.float32)).resize((2048, 2048), Image.Resampling.BICUBIC)
    return np.clip(np.rint(np.asarray(large)), 1, 4094).astype(np.uint16)
