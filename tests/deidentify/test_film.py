"""A film goes in, and comes out without its patient."""

from __future__ import annotations

import io
import struct

import numpy as np
import pydicom
import pytest
from pydicom.datadict import keyword_for_tag
from pydicom.encaps import get_frame
from pydicom.pixels import pixel_array
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from hilum.deidentify import Pseudonyms, Rule, deidentify
from hilum.deidentify.codestream import blank_jpeg_2000
from hilum.deidentify.film import OPTIONS
from hilum.deidentify.profile import by_tag, kept
from hilum.deidentify.regions import Region
from hilum.deidentify.values import tags_of
from hilum.errors import BurnedInText, ImageTooLarge, UnreadableImage, UnsupportedSyntax
from hilum.images import Limits, read_image
from sentinel import DATE, NAME, found_in, full_film_bytes, gradient, item, lut, plain_film, put, rasters, written

KEYED = Pseudonyms(b"k" * 32)
CORNER = (Rule((Region(0, 0, 40, 8),)),)
COMPRESSED = (RLELossless, JPEGLSLossless, JPEG2000Lossless)


def compressed(syntax, dataset=None):
    dataset = dataset or plain_film()
    dataset.ensure_file_meta()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.set_original_encoding(False, True)
    dataset.compress(syntax, generate_instance_uid=False)
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def read(done):
    return pydicom.dcmread(io.BytesIO(done.data))


@pytest.mark.parametrize("shift_dates", [False, True])
@pytest.mark.parametrize("rules", [(), CORNER])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_no_sentinel_is_left(syntax, rules, shift_dates):
    """With a name in each attribute of the dictionary, in items at any depth, private, preamble and file meta: none is left."""
    data = full_film_bytes(syntax)
    done = deidentify(data, KEYED, rules=rules, shift_dates=shift_dates)
    assert not found_in(done.data)
    assert not found_in(repr((done.uid, done.counts, done.options)))
    assert done.data[:132] == bytes(128) + b"DICM"
    assert min(done.counts[name] for name in ("private", "unlisted", "removed", "emptied", "uids", "dummies")) > 0


def test_every_attribute_obeys_the_table():
    """Of a film with every attribute: removed is gone, emptied is empty, a dummy is no sentinel, a UID is keyed."""
    source = pydicom.dcmread(io.BytesIO(full_film_bytes()))
    new = read(deidentify(full_film_bytes(), KEYED))
    for tag, row in by_tag().items():
        if tag not in source or row.keyword in ("PatientID", "PatientName"):
            continue
        if row.action == "X":
            assert tag not in new, row
        elif row.action == "Z":
            assert tag in new, row
            assert new[tag].is_empty, row
        elif row.action == "U":
            assert str(new[tag].value).startswith("2.25."), row
    left = set(new.keys()) - {pydicom.tag.Tag(tag) for tag in (*by_tag(), *kept())}
    assert {keyword_for_tag(tag) for tag in left} == {
        "PatientIdentityRemoved",
        "DeidentificationMethod",
        "DeidentificationMethodCodeSequence",
        "LongitudinalTemporalInformationModified",
        "PixelData",
    } - {row.keyword for row in by_tag().values()}
    assert not any(tag.is_private for tag in tags_of(new))


def test_it_says_what_was_done():
    """Method, codes, temporal information and burned-in annotation are written; the codes are DICOM's own."""
    new = read(deidentify(written(plain_film(BurnedInAnnotation="YES")), KEYED, rules=CORNER, shift_dates=True))
    assert new.PatientIdentityRemoved == "YES"
    assert new.DeidentificationMethod[1] == "DICOM PS3.15 2026c Annex E"
    assert [code.CodeValue for code in new.DeidentificationMethodCodeSequence] == ["113100", "113101", "113107"]
    assert new.LongitudinalTemporalInformationModified == "MODIFIED"
    assert new.BurnedInAnnotation == "NO"
    plain = read(deidentify(written(plain_film()), KEYED))
    assert [code.CodeValue for code in plain.DeidentificationMethodCodeSequence] == ["113100"]
    assert plain.LongitudinalTemporalInformationModified == "REMOVED"
    assert "BurnedInAnnotation" not in plain
    known = {code.value: code.meaning for code in (getattr(codes.DCM, name) for name in codes.DCM.dir())}
    assert all(known[value] == meaning for value, meaning in OPTIONS.values())


def test_references_still_meet():
    """The same UID is the same pseudonym in each file and at each depth; another key gives another."""
    first = plain_film(ReferencedImageSequence=Sequence([item()]))
    second = plain_film(SOPInstanceUID="1.2.9")
    one, two = (read(deidentify(written(film), KEYED)) for film in (first, second))
    assert one.StudyInstanceUID == two.StudyInstanceUID
    assert one.SOPInstanceUID != two.SOPInstanceUID
    assert one.file_meta.MediaStorageSOPInstanceUID == one.SOPInstanceUID
    reference = one.ReferencedImageSequence[0]
    assert reference.ReferencedSOPInstanceUID == one.SOPInstanceUID
    assert reference.ReferencedImageSequence[0].ReferencedSOPInstanceUID == one.SOPInstanceUID
    assert reference.ReferencedSOPClassUID == first.SOPClassUID
    assert one.PatientID == two.PatientID == str(one.PatientName)
    other = read(deidentify(written(first), Pseudonyms(b"o" * 32)))
    assert {other.PatientID, other.StudyInstanceUID}.isdisjoint({one.PatientID, one.StudyInstanceUID})


def test_a_patient_without_number_is_told_by_the_study():
    """Without Patient ID, films of one study stay together and those of two do not."""
    films = [plain_film(PatientID="", StudyInstanceUID=uid) for uid in ("1.2.1", "1.2.1", "1.2.2")]
    names = [read(deidentify(written(film), KEYED)).PatientID for film in films]
    assert names[0] == names[1] != names[2]


def test_shifted_dates_keep_their_distance():
    """A patient's films stay as far apart in time as they were; without being asked, no date is left."""
    films = [
        plain_film(StudyDate=day, StudyTime="1015", AcquisitionDateTime=day + "1015+0100")
        for day in ("20200301", "20200311")
    ]
    first, second = (read(deidentify(written(film), KEYED, shift_dates=True)) for film in films)
    days = [np.datetime64(f"{d[:4]}-{d[4:6]}-{d[6:]}") for d in (first.StudyDate, second.StudyDate)]
    assert days[1] - days[0] == np.timedelta64(10, "D")
    assert first.StudyDate < "20190301"
    assert first.AcquisitionDateTime == first.StudyDate + first.StudyTime
    assert first.PatientBirthDate == ""
    gone = read(deidentify(written(films[0]), KEYED))
    assert (gone.StudyDate, gone.StudyTime) == ("", "")
    assert "AcquisitionDateTime" not in gone


def test_what_a_film_needs_stays():
    """Geometry, view, exposure, windows, tables and the standard's codes stay; the film reads as it did."""
    view = pydicom.Dataset()
    view.CodeValue, view.CodingSchemeDesignator, view.CodeMeaning = "272479007", "SCT", "CANARY"
    film = plain_film(
        KVP="81", PixelSpacing=["0.14", "0.14"], WindowCenter="2000", WindowWidth="3000", RescaleType="US",
        PatientOrientation=["L", "F"], ImageType=["ORIGINAL", "PRIMARY", "CANARY"], VOILUTSequence=Sequence([lut()]),
        ViewCodeSequence=Sequence([view, item()]), ShutterPresentationValue=0, ManufacturerModelName=NAME, Manufacturer=NAME,
    )  # fmt: skip
    film.add_new(0x00280120, "US", 63536)
    data = written(film)
    new = read(done := deidentify(data, KEYED))
    assert (new.KVP, new.PixelSpacing, new.WindowCenter, new.ViewPosition) == (81, [0.14, 0.14], 2000, "PA")
    assert (new.PatientOrientation, new.ImageType, new.Manufacturer) == (["L", "F"], ["ORIGINAL", "PRIMARY"], "")
    assert [code.CodeMeaning for code in new.ViewCodeSequence] == ["Posteroanterior projection (qualifier value)"]
    assert len(new.VOILUTSequence[0].LUTData) == 8192
    assert (new.PixelPaddingValue, "ManufacturerModelName" in new) == (63536, False)
    assert np.array_equal(read_image(done.data).pixels, read_image(data).pixels)


def test_a_name_in_a_field_of_terms_or_numbers_goes():
    """Type 2 is emptied, type 3 removed; and a representation that the file claims changes nothing."""
    film = plain_film()
    for tag, vr in ((0x00185101, "CS"), (0x00180060, "DS"), (0x00181150, "IS"), (0x00187060, "PN"), (0x00181404, "US")):
        put(film, tag, vr, NAME)
    put(film, 0x00281050, "UT", NAME)
    put(film, 0x00540220, "UT", NAME)
    put(film, 0x00081140, "LT", NAME)
    done = deidentify(written(film), KEYED)
    new = read(done)
    assert (new.ViewPosition, new.KVP) == ("", None)
    assert not any(
        keyword in new for keyword in ("ExposureTime", "ExposureControlMode", "WindowCenter", "ViewCodeSequence")
    )
    assert not found_in(done.data)


@pytest.mark.parametrize("syntax", COMPRESSED)
def test_a_compressed_picture_stays_as_it_is(syntax):
    """Bit for bit but for a comment, in its own encoding, where no region is blanked."""
    data = compressed(syntax)
    new = read(deidentify(data, KEYED))
    assert new.file_meta.TransferSyntaxUID == syntax
    before, after = (get_frame(d.PixelData, 0, number_of_frames=1) for d in (pydicom.dcmread(io.BytesIO(data)), new))
    expected = blank_jpeg_2000(before) if syntax == JPEG2000Lossless else before
    assert after.rstrip(b"\0") == expected.rstrip(b"\0")
    assert np.array_equal(pixel_array(new), gradient())


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, *COMPRESSED])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_regions_are_blanked(syntax, photometric):
    """Where a rule says so, the picture is decoded, blanked black, and written uncompressed; the rest stays the same."""
    film = plain_film(PhotometricInterpretation=photometric, BurnedInAnnotation="YES")
    data = written(film) if syntax == ExplicitVRLittleEndian else compressed(syntax, film)
    done = deidentify(data, KEYED, rules=CORNER)
    new = read(done)
    expected = gradient()
    expected[:8, :40] = 4095 if photometric == "MONOCHROME1" else 0
    assert new.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert np.array_equal(pixel_array(new), expected)
    assert done.burned_in == "cleaned"


def test_a_region_beyond_the_film_is_cut():
    """It blanks what of the film it covers."""
    new = read(deidentify(written(plain_film()), KEYED, rules=(Rule((Region(70, 90, 500, 500),)),)))
    assert pixel_array(new)[90:, 70:].max() == 0


def test_every_frame_is_blanked():
    """Of several frames, each, in one encoding and another."""
    stored = np.stack([gradient(), gradient()[::-1]])
    film = plain_film(SOPClassUID="1.2.840.10008.5.1.4.1.1.7.3", NumberOfFrames=2, PixelData=stored.tobytes())
    film["PixelData"].VR = "OW"
    for data in (written(film), compressed(RLELossless, film)):
        new = read(deidentify(data, KEYED, rules=CORNER))
        assert pixel_array(new)[:, :8, :40].max() == 0
        assert np.array_equal(pixel_array(new)[:, 8:], stored[:, 8:])
        plain = read(deidentify(data, KEYED))
        assert np.array_equal(pixel_array(plain), stored)


def test_colour_is_blanked_too():
    """A colour secondary capture comes out as RGB."""
    stored = np.full((96, 80, 3), 200, np.uint8)
    film = plain_film(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.7", SamplesPerPixel=3, PlanarConfiguration=0, BitsAllocated=8, BitsStored=8,
        HighBit=7, PhotometricInterpretation="RGB", PixelData=stored.tobytes(),
    )  # fmt: skip
    new = read(deidentify(written(film), KEYED, rules=CORNER))
    assert pixel_array(new)[:8, :40].max() == 0
    assert pixel_array(new)[8:].min() == 200


def test_big_endian_is_turned():
    """An old big-endian film and its table come out little endian, with the same samples."""
    film = plain_film(VOILUTSequence=Sequence([lut()]))
    film.PixelData = gradient().astype(">u2").tobytes()
    film.VOILUTSequence[0].LUTData = np.arange(0, 65536, 16).astype(">u2").tobytes()
    data = written(film, ExplicitVRBigEndian)
    new = read(done := deidentify(data, KEYED))
    assert np.array_equal(pixel_array(new), gradient())
    assert np.array_equal(read_image(done.data).pixels, read_image(data).pixels)


@pytest.mark.parametrize("signed", [0, 1])
def test_an_overlay_among_the_bits_goes(signed):
    """Bits above those stored could show a name; they are filled again, and signed samples keep their sign."""
    film = plain_film(PixelRepresentation=signed)
    stored = gradient()
    film.PixelData = (stored | 0x5000).tobytes()
    film["PixelData"].VR = "OW"
    put(film, 0x60000102, "US", struct.pack("<H", 14))
    expected = np.where(stored >= 2048, stored.astype(np.int32) - 4096, stored) if signed else stored
    for data in (written(film), compressed(RLELossless, film)):
        new = read(deidentify(data, KEYED))
        stored_again = np.frombuffer(new.PixelData, "<i2" if signed else "<u2").reshape(stored.shape)
        assert np.array_equal(stored_again, expected)
        assert 0x60000102 not in new


def test_bytes_behind_the_samples_go():
    """What follows the last sample is no picture."""
    film = plain_film()
    film.PixelData += NAME.encode()
    film["PixelData"].VR = "OW"
    assert not found_in(deidentify(written(film), KEYED).data)


def test_burned_in_text_is_refused():
    """The header says that there is text, and nobody said where: the film is not written."""
    for value in ("YES", "CANARY"):
        film = plain_film()
        put(film, 0x00280301, "CS", value)
        with pytest.raises(BurnedInText, match="rule") as caught:
            deidentify(written(film), KEYED, rules=(Rule((Region(0, 0, 1, 1),), rows=1),))
        assert not found_in(str(caught.value))
    assert deidentify(written(plain_film(BurnedInAnnotation="NO")), KEYED).burned_in == "no"
    assert deidentify(written(plain_film()), KEYED).burned_in == "unknown"


def test_other_objects_and_pictures_are_refused():
    """Reports, other modalities, stored bits at the top of their words, PNG and JPEG, and films that nothing can be keyed to."""
    for change in ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11"}, {"Modality": "CT"}, {"HighBit": 15}):
        with pytest.raises(UnsupportedSyntax):
            deidentify(written(plain_film(**change)), KEYED)
    for _, data in rasters():
        with pytest.raises(UnsupportedSyntax, match="Only DICOM"):
            deidentify(data, KEYED)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID"):
        with pytest.raises(UnreadableImage, match=keyword):
            deidentify(written(plain_film(**{keyword: ""})), KEYED)
    with pytest.raises(ImageTooLarge):
        deidentify(written(plain_film()), KEYED, limits=Limits(max_bytes=1000))


def test_broken_films_are_errors_that_name_nobody():
    """Cut anywhere, a film is an error of ours, without a word of what stood in it."""
    data = full_film_bytes()
    for length in (*range(0, len(data), 10_007), len(data) - 2):
        with pytest.raises((UnreadableImage, UnsupportedSyntax)) as caught:
            deidentify(data[:length], KEYED)
        assert not found_in(str(caught.value))
        assert caught.value.__context__ is None


def nested(tag: int, times: int) -> bytes:
    group, element = tag >> 16, tag & 0xFFFF
    begin = struct.pack("<HH2sHI", group, element, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    end = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    return begin * times + end * times


@pytest.mark.parametrize("times", [12, 5000])
def test_hostile_nesting_is_refused(times):
    """Sequences inside one another beyond a depth that no film has, closed or thousands of them, are an error."""
    data = written(plain_film())
    place = data.index(struct.pack("<HH2s", 0x0010, 0x0010, b"PN"))
    with pytest.raises(UnreadableImage):
        deidentify(data[:place] + nested(0x00081140, times) + data[place:], KEYED)


def test_a_film_twice_de_identified_stays_so():
    """The output is a film that can be read and de-identified again, its pixels the same."""
    once = deidentify(full_film_bytes(), KEYED)
    twice = deidentify(once.data, KEYED)
    assert twice.uid != once.uid
    assert np.array_equal(read_image(twice.data).pixels, read_image(once.data).pixels)
    assert DATE not in repr(read(once))
