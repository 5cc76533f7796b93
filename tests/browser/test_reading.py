"""From a film to its answer, as a person goes through the page, with the real engine on tiny bundles."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from hilum.gate import CORRECTED
from hilum.records import Reason, Verdict, Withheld

pytestmark = pytest.mark.browser

SHOWN = """async () => {
  for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);
  const { width, height } = document.getElementById("film");
  const pixels = document.getElementById("film").getContext("2d").getImageData(0, 0, width, height).data;
  return [...pixels].filter((_, i) => i % 44 === 0);
}"""
DROP = """encoded => {
  const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], "DOE_JANE.png", { type: "image/png" }));
  for (const kind of ["dragover", "drop"]) {
    document.body.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: transfer }));
  }
}"""


def choose(page, data, name="film.png"):
    """Choose a file as its picker would give it."""
    page.get_by_label("Choose a film").set_input_files([{"name": name, "mimeType": "", "buffer": data}])


def flat_png():
    """A picture without anything in it, which the gate refuses."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((128, 128), 90, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_chosen_film_is_read(visit, film_png):
    """Level, recommendation, findings, members and provenance stand on the page after a film was chosen."""
    page = visit()
    choose(page, film_png)
    expect(page.get_by_role("heading", name="Clinical confidence level")).to_be_visible()
    expect(page.locator(".recommendation")).to_contain_text("confidence")
    expect(page.get_by_role("heading", name="Above their operating point")).to_be_visible()
    expect(page.locator("table.findings tbody tr.group + tr")).to_contain_text("Normal")
    expect(page.get_by_role("heading", name="Members side by side")).to_be_visible()
    expect(page.get_by_role("columnheader", name="MobileNetV2 (random numbers, for tests-trained)")).to_be_visible()
    expect(page.locator(".provenance")).to_contain_text("80 × 96 pixels, 8 bits")
    expect(page.get_by_role("status").first).to_contain_text("Read. Level:")


def test_a_dropped_film_is_read_and_its_name_is_not_sent(visit, film_png):
    """Dropping a film anywhere reads it; the name of its file, which may name a patient, stays in the browser."""
    page = visit()
    with page.expect_request("**/api/v1/analyze?film=1") as sent:
        page.evaluate(DROP, base64.b64encode(film_png).decode())
    expect(page.get_by_role("heading", name="Findings")).to_be_visible()
    assert b"DOE" not in (sent.value.post_data_buffer or b"")


def test_several_dropped_files_are_not_guessed_among(visit):
    """Two files at once are an error that says so, and nothing is sent."""
    page = visit()
    page.evaluate(
        """() => { const transfer = new DataTransfer();
        for (const name of ["a", "b"]) transfer.items.add(new File(["x"], name));
        document.body.dispatchEvent(new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: transfer })); }"""
    )
    expect(page.get_by_role("alert")).to_contain_text("2 files were dropped")


def test_an_example_is_read_beside_its_label_and_box(visit, main_engine):
    """An example film brings its label, the answer and a box that can be switched off."""
    page = visit(engine=main_engine)
    expect(page.locator("#gallery-films li")).to_have_count(5)
    card = page.get_by_role("button", name="Label: Cardiomegaly")
    card.click()
    expect(page.locator(".example")).to_contain_text("00014574_000.png")
    expect(card).to_contain_text(re.compile(r"Answer: Cardiomegaly \d+\.\d, (above|below) its operating point"))
    expect(page.get_by_role("button", name="Radiologist’s box")).to_have_attribute("aria-pressed", "true")


def test_every_example_is_accepted(visit, main_engine):
    """No example film is refused, and its finding has a heat map."""
    page = visit(engine=main_engine)
    for card in page.locator("#gallery-films button").all():
        card.click()
        expect(card).to_contain_text("Answer:")
        expect(card).not_to_contain_text("refused")
        name = card.locator("b").inner_text()
        page.locator("table.findings").get_by_role("button", name=name, exact=True).focus()
        expect(page.locator("#heat-caption")).to_contain_text(f"Heat map of {name}")


def test_a_second_film_leaves_nothing_of_the_first(visit, film_png):
    """After an example, a film of one's own has no box, no label and no heat map kept on it."""
    page = visit()
    page.get_by_role("button", name="Label: Cardiomegaly").click()
    page.locator("table.findings").get_by_role("button", name="Effusion").click()
    choose(page, film_png)
    expect(page.locator(".example")).to_have_count(0)
    expect(page.get_by_role("button", name="Radiologist’s box")).to_have_count(0)
    expect(page.locator("#heat-caption")).to_contain_text("No heat map is shown")


def test_a_refused_film_gets_reasons_and_no_numbers(visit):
    """A film that the gate refuses is shown with the reasons in words, without findings, level or members."""
    page = visit()
    choose(page, flat_png())
    refusal = page.locator(".refused")
    expect(refusal).to_contain_text("This film was not read")
    expect(refusal).to_contain_text("almost one even grey")
    assert not re.search(r"\d", page.locator("#answer").inner_text())
    expect(page.locator("table")).to_have_count(0)
    expect(page.get_by_role("status").first).to_contain_text("not read")


def test_an_unreadable_file_is_an_error_in_words(visit, film_png):
    """What can't be read is told by title, detail and code, without the last film's answer; the next film clears it away."""
    page = visit()
    page.get_by_role("button", name="Label: Cardiomegaly").click()
    expect(page.get_by_role("article")).to_be_visible()
    choose(page, b"this is not a film", "notes.txt")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The image can't be read")
    expect(alert).to_contain_text("unreadable_image")
    expect(page.get_by_role("article")).to_have_count(0)
    choose(page, film_png)
    expect(page.get_by_role("heading", name="Findings")).to_be_visible()
    expect(alert).to_be_empty()


def test_a_service_that_is_gone_is_an_error_in_words(visit, film_png):
    """Where the service can't be reached the page says so and offers to try again."""
    page = visit()
    page.route("**/api/v1/analyze**", lambda route: route.abort())
    choose(page, film_png)
    expect(page.get_by_role("alert")).to_contain_text("can’t be reached")
    page.unroute("**/api/v1/analyze**")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="Findings")).to_be_visible()


def test_a_busy_service_says_when_to_try_again(visit, film_png):
    """A full queue is told in words, with the seconds that the service named."""
    page = visit()
    problem = {"title": "Every worker is taken", "detail": "The queue is full.", "code": "busy", "status": 503}
    page.route(
        "**/api/v1/analyze**",
        lambda route: route.fulfill(
            status=503, json=problem, content_type="application/problem+json", headers={"Retry-After": "7"}
        ),
    )
    choose(page, film_png)
    expect(page.get_by_role("alert")).to_contain_text("The queue is full. Try again in 7 seconds.")


def test_the_last_film_chosen_is_the_one_shown(visit, film_png):
    """Choosing another film while one is read drops the first, whose late answer never appears."""
    page = visit()
    held = []
    page.route("**/api/v1/analyze**", lambda route: route.continue_() if held else held.append(route))
    choose(page, film_png)
    expect(page.get_by_role("status").first).to_have_text("Reading the film…")
    page.get_by_role("button", name="Label: Cardiomegaly").click()
    expect(page.locator(".example")).to_contain_text("00014574_000.png")
    expect(page.locator("#main")).to_have_attribute("aria-busy", "false")
    expect(page.get_by_role("alert")).to_be_empty()


@pytest.mark.parametrize("kind", ["TIFF", "DICOM"])
def test_formats_that_browsers_do_not_know_are_shown(visit, film_png, kind):
    """A TIFF or DICOM film, of either polarity, looks on the canvas as the same film as a PNG does."""
    page = visit()
    choose(page, film_png)
    expect(page.locator(".provenance")).to_contain_text("PNG")
    as_png = page.evaluate(SHOWN)
    choose(page, {"TIFF": tiff, "DICOM": dicom}[kind](np.asarray(Image.open(io.BytesIO(film_png)))))
    expect(page.locator(".provenance")).to_contain_text(kind)
    assert np.corrcoef(page.evaluate(SHOWN), as_png)[0, 1] > 0.99


def tiff(pixels):
    """A grey TIFF file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "TIFF")
    return buffer.getvalue()


def dicom(pixels):
    """A digital radiograph, MONOCHROME1: what is stored bright was dark."""
    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.file_meta.MediaStorageSOPClassUID = file.SOPClassUID = DigitalXRayImageStorageForPresentation
    file.file_meta.MediaStorageSOPInstanceUID = file.SOPInstanceUID = generate_uid()
    file.Modality = "DX"
    file.Rows, file.Columns = pixels.shape
    file.SamplesPerPixel, file.PixelRepresentation = 1, 0
    file.BitsAllocated = file.BitsStored = 8
    file.HighBit = 7
    file.PhotometricInterpretation = "MONOCHROME1"
    file.PixelData = (255 - pixels).tobytes()
    buffer = io.BytesIO()
    file.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def test_the_report_opens_styled_and_can_be_saved(visit, film_png):
    """The report stands in a frame with its own style sheet, and can be saved as a file."""
    page = visit()
    choose(page, film_png)
    page.get_by_role("button", name="Open the report").click()
    frame = page.frame_locator("#report-frame")
    expect(frame.get_by_role("heading", name="Chest radiograph")).to_be_visible()
    border = "getComputedStyle(document.getElementById('report-frame').contentDocument.querySelector('.disclaimer')).borderTopStyle"
    assert page.evaluate(border) == "solid"
    with page.expect_download() as saved:
        page.get_by_role("link", name="Save").click()
    assert saved.value.suggested_filename == "hilum-report.html"
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_film_that_was_set_right_is_shown_as_it_was_given(visit, film_png, rich):
    """The caption says that the film on the stage is the one that was given, and what was done before it was read."""

    def answer(image):
        verdict = Verdict(True, (Reason("rotated", CORRECTED["rotated"], "warn"),))
        return replace(rich(image), verdict=verdict)

    page = visit(answer=answer)
    choose(page, film_png)
    expect(page.locator("#heat-caption")).to_contain_text("The film as it was given. The film was turned")


def test_a_withheld_heat_map_is_said(visit, film_png, rich):
    """Where a finding's maps are withheld, the page shows none and says why; another finding's map is still drawn."""

    def answer(image):
        whole = rich(image)
        kept = tuple(one for one in whole.heatmaps if one.finding != "Effusion")
        withheld = tuple(
            Withheld("Effusion", one.model, "60% of it lies outside the body")
            for one in whole.heatmaps
            if one.finding == "Effusion"
        )
        return replace(whole, heatmaps=kept, withheld=withheld)

    page = visit(answer=answer)
    choose(page, film_png)
    page.locator("table.findings").get_by_role("button", name="Effusion").click()
    expect(page.locator("#heat-caption")).to_contain_text("No heat map for Effusion. Withheld: DenseNet121")
    expect(page.locator("#heat-caption")).to_contain_text("60% of it lies outside the body")
    page.locator("table.findings").get_by_role("button", name="Cardiomegaly").click()
    expect(page.locator("#heat-caption")).to_contain_text("Heat map of Cardiomegaly")
