"""The film and its heat map: what changes on the canvas, and what must not."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

SHOWN = """async () => {
  for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);
  return document.getElementById("film").toDataURL();
}"""


def shown(page):
    """What is on the canvas, as text that can be compared."""
    return page.evaluate(SHOWN)


def finding(page, name):
    """The button of a finding in the table."""
    return page.locator("table.findings").get_by_role("button", name=name, exact=True)


@pytest.fixture
def page(visit, rich):
    """The page with an example film read and the rich answer."""
    page = visit(rich)
    page.get_by_role("button", name="Label: Effusion").click()
    finding(page, "Effusion").wait_for()
    page.mouse.move(5, 5)
    return page


def test_pointing_shows_the_heat_map_of_the_finding(page):
    """Each finding that is pointed at has its own heat map on the film; pointing away takes it off."""
    plain = shown(page)
    finding(page, "Effusion").hover()
    effusion = shown(page)
    finding(page, "Cardiomegaly").hover()
    cardiomegaly = shown(page)
    assert len({plain, effusion, cardiomegaly}) == 3
    expect(page.locator("#heat-caption")).to_contain_text(
        "Heat map of Cardiomegaly, mean of 3 members: strongest in the"
    )
    page.mouse.move(5, 5)
    assert shown(page) == plain


def test_focus_shows_the_heat_map_too(page):
    """The keyboard's focus is as good as a pointer."""
    plain = shown(page)
    finding(page, "Edema").focus()
    assert shown(page) != plain
    expect(page.locator("tr.shown")).to_contain_text("Edema")


def test_a_chosen_finding_stays(page):
    """A click keeps the heat map while the pointer is elsewhere; a second click takes it off."""
    plain = shown(page)
    finding(page, "Effusion").click()
    page.mouse.move(5, 5)
    page.evaluate("document.activeElement.blur()")
    assert shown(page) != plain
    expect(finding(page, "Effusion")).to_have_attribute("aria-pressed", "true")
    finding(page, "Effusion").click()
    page.mouse.move(5, 5)
    assert shown(page) == plain


def test_one_members_heat_map_can_be_chosen(page):
    """Each member's own map differs from the mean, and a finding that a member does not assess says so."""
    finding(page, "Effusion").click()
    mean = shown(page)
    page.get_by_label("Heat map of").select_option("HilumCNN (NIH ChestX-ray14-trained)")
    assert shown(page) != mean
    finding(page, "Atelectasis").hover()
    expect(page.locator("#heat-caption")).to_contain_text("it does not assess this finding")
    expect(page.locator("#no-heat")).to_contain_text(
        "DenseNet121 (CheXpert, declared) gives no heat map: the network has no pooled head"
    )


def test_the_heat_map_lies_where_its_values_are(page):
    """The strongest place of Effusion's map, right of the middle, is coloured; the far left is as it was."""
    sample = """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
      const canvas = document.getElementById("film");
      const side = Math.min(canvas.width, canvas.height);
      const at = (x, y) => [...canvas.getContext("2d").getImageData((canvas.width - side) / 2 + x * side, y * side, 1, 1).data];
      done([at(0.78, 0.54), at(0.1, 0.8)]);
    })))"""
    page.get_by_role("button", name="Radiologist’s box").click()
    before = page.evaluate(sample)
    finding(page, "Effusion").hover()
    hot, cold = page.evaluate(sample)
    assert before[0][0] == before[0][1] == before[0][2]
    assert hot[0] > hot[2] + 40
    assert cold == before[1]


@pytest.mark.parametrize("key", ["+", "i"])
def test_keys_change_the_view_and_reset_brings_it_back(page, key):
    """Zoom and inversion by key change the film; 0 gives the first view again."""
    plain = shown(page)
    page.get_by_role("application", name="Example film, Effusion").focus()
    page.keyboard.press(key)
    assert shown(page) != plain
    page.keyboard.press("0")
    assert shown(page) == plain


def test_zoom_and_pan(page):
    """Wheel, buttons and keys zoom; dragging and arrow keys pan what is zoomed; minus leads back."""
    stage = page.get_by_role("application")
    plain = shown(page)
    stage.hover()
    page.mouse.wheel(0, -200)
    zoomed = shown(page)
    page.mouse.down()
    box = stage.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2 + 60, box["y"] + box["height"] / 2 + 30)
    page.mouse.up()
    dragged = shown(page)
    stage.press("ArrowLeft")
    assert len({plain, zoomed, dragged, shown(page)}) == 4
    for _ in range(5):
        page.get_by_role("button", name="Zoom out").click()
    assert shown(page) == plain
    page.get_by_role("button", name="Zoom in").click()
    assert shown(page) != plain


def test_two_fingers_zoom(page):
    """A pinch zooms."""
    plain = shown(page)
    page.evaluate(
        """() => { const stage = document.getElementById("stage");
        stage.setPointerCapture = () => {};
        const { left, top } = stage.getBoundingClientRect();
        const send = (kind, pointerId, x) => stage.dispatchEvent(new PointerEvent(kind,
          { pointerId, pointerType: "touch", clientX: left + x, clientY: top + 100, buttons: 1, bubbles: true }));
        send("pointerdown", 1, 100); send("pointerdown", 2, 140);
        send("pointermove", 2, 240); send("pointerup", 1, 100); send("pointerup", 2, 240); }"""
    )
    assert shown(page) != plain


@pytest.mark.parametrize(("name", "value"), [("Window", "40"), ("Level", "20")])
def test_window_and_level_change_the_film(page, name, value):
    """Both sliders change the greys, and the label says the value."""
    plain = shown(page)
    page.get_by_role("slider", name=name).fill(value)
    assert shown(page) != plain
    expect(page.locator(f"#{name.lower()}-value")).to_have_text(f"{value} %")


def test_dragging_with_the_right_button_windows(page):
    """The right button changes window and level, not the place."""
    plain = shown(page)
    box = page.get_by_role("application").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down(button="right")
    page.mouse.move(box["x"] + 40, box["y"] + 120)
    page.mouse.up(button="right")
    assert shown(page) != plain
    expect(page.locator("#window-value")).not_to_have_text("100 %")


def test_invert_is_a_switch(page):
    """Inversion changes the film, says that it is on, and goes back."""
    plain = shown(page)
    button = page.get_by_role("button", name="Invert")
    button.click()
    assert shown(page) != plain
    expect(button).to_have_attribute("aria-pressed", "true")
    button.click()
    assert shown(page) == plain


def test_without_opacity_there_is_no_heat_map(page):
    """At 0 % the film is as it is without a heat map."""
    plain = shown(page)
    finding(page, "Effusion").click()
    assert shown(page) != plain
    page.get_by_role("slider", name="Heat map opacity").fill("0")
    assert shown(page) == plain


def test_the_box_can_be_taken_off(page):
    """The radiologist's box is on the film until it is switched off."""
    plain = shown(page)
    button = page.get_by_role("button", name="Radiologist’s box")
    button.click()
    assert shown(page) != plain
    expect(button).to_have_attribute("aria-pressed", "false")
    button.click()
    assert shown(page) == plain


def test_the_strongest_point_is_compared_with_the_box(page):
    """For the example's own finding the caption says whether the map's peak lies in the box."""
    finding(page, "Effusion").hover()
    expect(page.locator("#heat-caption")).to_contain_text("side the radiologist’s box")
    finding(page, "Edema").hover()
    expect(page.locator("#heat-caption")).not_to_contain_text("radiologist’s box")


def test_paper_gets_the_whole_film_with_the_map_that_is_kept(page):
    """For printing the canvas takes the film's own shape, unzoomed, and what is folded opens; afterwards all is as before."""
    finding(page, "Effusion").click()
    before = shown(page)
    page.get_by_role("button", name="Zoom in").click()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    width, height = page.evaluate("[document.getElementById('film').width, document.getElementById('film').height]")
    assert width == height
    assert page.locator("#reading details:not([open])").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.get_by_role("button", name="Reset view").click()
    assert page.locator("#reading .model[open]").count() == 0
    finding(page, "Effusion").hover()
    assert shown(page) == before
