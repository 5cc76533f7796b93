"""What everyone must be able to do with the page: on a phone, by keyboard, with a screen reader, on paper, in the dark."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from playwright.sync_api import expect

from hilum.records import Disagreement, Interval, NormalClaim
from hilum.server.headers import CONTENT_SECURITY_POLICY

pytestmark = pytest.mark.browser

CUSTOM = "HilumCNN (NIH ChestX-ray14-trained)"
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
CONTRASTS = """() => {
  const parts = (colour) => { const [r, g, b, a = 1] = colour.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
  const own = (node) => parts(getComputedStyle(node).backgroundColor);
  const ground = (node) => node ? over(own(node), ground(node.parentElement)) : [255, 255, 255, 1];
  const linear = (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = (colour) => colour.slice(0, 3).map((c) => linear(c / 255))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const bad = [];
  for (const node of document.querySelectorAll("body *")) {
    if (![...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()) || !node.checkVisibility()) continue;
    const below = ground(node);
    const [a, b] = [light(over(parts(getComputedStyle(node).color), below)), light(below)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) bad.push(`${node.tagName}.${node.className} ${node.textContent.trim().slice(0, 30)} ${ratio.toFixed(2)}`);
  }
  return bad;
}"""


def read_example(page):
    """Read the effusion example."""
    page.get_by_role("button", name="Label: Effusion").click()
    page.get_by_role("heading", name="Findings", exact=True).wait_for()


def tab_to(page, wanted):
    """Press Tab until the focused element's text or id is ``wanted``."""
    for _ in range(80):
        page.keyboard.press("Tab")
        focus = page.evaluate("[document.activeElement.id, document.activeElement.innerText?.trim()]")
        if any(each and (each == wanted or each.startswith(f"{wanted}\n")) for each in focus):
            return
    pytest.fail(f"Tab never reaches {wanted}")


def test_all_of_it_works_by_keyboard(visit, rich):
    """Choosing an example, pointing at a finding, keeping it, zooming and reading the report need no pointer."""
    page = visit(rich)
    tab_to(page, "Effusion")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="The reading")).to_be_focused()
    tab_to(page, "stage")
    page.keyboard.press("+")
    page.keyboard.press("ArrowLeft")
    tab_to(page, "Effusion")
    expect(page.locator("#heat-caption")).to_contain_text("Heat map of Effusion")
    page.keyboard.press("Space")
    expect(page.locator("table.findings").get_by_role("button", name="Effusion")).to_have_attribute(
        "aria-pressed", "true"
    )
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Report")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Open the report")).to_be_focused()


def test_focus_can_be_seen(visit):
    """What has the keyboard's focus has an outline."""
    page = visit()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid"


def test_a_screen_reader_finds_names_and_roles(visit, rich):
    """Landmarks, headings, the table, sliders and switches have roles and names, and no control is without a name."""
    page = visit(rich)
    read_example(page)
    for role, name in [
        ("heading", "hilum"),
        ("heading", "Clinical confidence level High"),
        ("table", "Findings by falling confidence"),
        ("columnheader", "Operating point"),
        ("columnheader", "Evidence"),
        ("columnheader", "Probability"),
        ("rowheader", "Effusion"),
        ("slider", "Window"),
        ("slider", "Level"),
        ("slider", "Heat map opacity"),
        ("combobox", "Heat map of"),
        ("application", "Example film, Effusion"),
        ("region", "Members side by side"),
        ("contentinfo", ""),
    ]:
        expect(page.get_by_role(role, name=name).first).to_be_attached()
    nameless = r"^\s*- (button|link|slider|combobox|textbox|img)(:| \[|$)"
    assert re.findall(nameless, page.locator("body").aria_snapshot(), re.MULTILINE) == []


def test_evidence_confidence_and_probability_are_named_apart(visit, rich):
    """Each finding's three numbers stand under their own names, with operating point, spread and margin."""
    page = visit(rich)
    read_example(page)
    row = page.get_by_role("row").filter(has=page.get_by_role("button", name="Effusion", exact=True))
    expect(row).to_contain_text("88.0")
    expect(row).to_contain_text("3 members 84.0–92.0, spread 8.0")
    expect(row).to_contain_text("▲ above by 34.0")
    expect(row).to_contain_text("sens. 0.78")
    expect(row).to_contain_text("+1.99")
    expect(row).to_contain_text("28 %at a prevalence of 5.0 %")
    fibrosis = page.get_by_role("row").filter(has=page.get_by_role("button", name="Fibrosis", exact=True))
    expect(fibrosis).to_contain_text("no operating point")
    expect(fibrosis).to_contain_text("one member assesses it")
    expect(page.locator("#answer")).to_contain_text("Not assessed: Fracture and Tuberculosis.")


def test_the_level_never_stands_alone(visit, rich):
    """What is above its operating point is listed beside the level; a conflict and a warning of the gate are said."""
    page = visit(rich)
    read_example(page)
    summary = page.locator(".summary")
    expect(summary.get_by_role("listitem")).to_have_text(["Effusion 88.0", "Cardiomegaly 71.5"])
    expect(summary).to_contain_text("Normal is above its operating point, and so are Effusion and Cardiomegaly.")
    expect(page.locator(".caution")).to_contain_text("The header says that the patient is under 18.")
    expect(page.locator("tbody.normal tr").last).to_contain_text("Normal")


def test_nothing_above_is_said_too(visit, rich):
    """Where nothing is above its operating point the page says so in words."""

    def quiet(image):
        analysis = rich(image)
        return replace(analysis, findings=tuple(replace(it, positive=False) for it in analysis.findings), conflicts=())

    page = visit(quiet)
    read_example(page)
    expect(page.locator(".summary")).to_contain_text("No finding is above its operating point.")
    expect(page.locator(".conflict")).to_have_count(0)


def test_members_stand_side_by_side_on_each_scale(visit, rich):
    """The same table shows confidence, evidence, probability or raw score; what is not calibrated has no evidence."""
    page = visit(rich)
    read_example(page)
    row = page.locator("table.members tbody tr").first
    expect(row.get_by_role("cell")).to_have_text([re.compile("84.0"), re.compile("88.0"), re.compile("92.0"), "31.0"])
    page.get_by_label("Show").select_option("Evidence")
    expect(row.get_by_role("cell").last).to_have_text("–")
    page.get_by_label("Show").select_option("Raw score")
    expect(row.get_by_role("cell").last).to_have_text("0.310")
    expect(page.get_by_role("columnheader", name="CheXpert, declared")).to_contain_text("not in the ensemble")
    expect(page.locator("table.members thead").get_by_text("2 votes in the ensemble")).to_have_count(1)


def test_text_never_becomes_markup(visit, rich):
    """A warning that looks like markup is shown as it is."""
    evil = "<img src=x onerror=alert(1)>"
    page = visit(lambda image: replace(rich(image), conflicts=(evil,)))
    read_example(page)
    expect(page.locator(".conflict")).to_contain_text(evil)


def test_a_phone_needs_no_sideways_scrolling(visit, rich):
    """At 360 pixels nothing is wider than the screen, before and after a reading, and a tap shows a heat map."""
    page = visit(rich, browser=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.get_by_role("button", name="Label: Effusion").tap()
    button = page.locator("table.findings").get_by_role("button", name="Cardiomegaly")
    button.tap()
    expect(page.locator("#heat-caption")).to_contain_text("Heat map of Cardiomegaly")
    expect(page.locator("#film")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.set_viewport_size({"width": 320, "height": 600})
    assert page.evaluate("document.documentElement.scrollWidth") == 320


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(visit, rich, scheme):
    """All text has a contrast of at least 4.5 to 1 (WCAG AA), in light and in dark."""
    page = visit(rich, browser={"color_scheme": scheme})
    read_example(page)
    page.locator("table.findings").get_by_role("button", name="Effusion").click()
    for summary in page.locator("#reading summary").all():
        if summary.is_visible() and not summary.evaluate("it => it.parentElement.open"):
            summary.click()
    assert page.evaluate(CONTRASTS) == []


def test_paper_has_the_answer_and_not_the_tools(visit, rich):
    """In print the findings, members, provenance and disclaimer remain; buttons, sliders and examples go."""
    page = visit(rich)
    read_example(page)
    page.emulate_media(media="print")
    for there in (".summary", "table.findings", "table.members", ".provenance", "#disclaimer", "#film"):
        expect(page.locator(there)).to_be_visible()
    for gone in (".tools", ".adjust", "#gallery", "#drop", "#report-open"):
        expect(page.locator(gone)).to_be_hidden()
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_the_disclaimer_is_always_there(visit):
    """What clinical use would require stands on the page before any film is read."""
    page = visit()
    expect(page.get_by_role("contentinfo")).to_contain_text(
        "Clinical use requires validation by qualified radiologists, compliance with medical regulations, integration "
        "with clinical workflows, and proper informed consent."
    )


def test_the_policy_lets_no_inline_script_or_style_in(visit):
    """No script or style that is not the service's own file runs, but for the report's one style sheet."""
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    page = visit()
    inline = "found => found.filter((it) => !it.closest('.thumb')).length"
    assert page.locator("script:not([src]), style, [style], [onclick]").evaluate_all(inline) == 0


def test_less_motion_is_respected(visit):
    """Who asks for reduced motion gets no transition."""
    page = visit(browser={"reduced_motion": "reduce"})
    assert page.evaluate("getComputedStyle(document.querySelector('button')).transitionDuration") == "0s"


def test_what_cannot_be_said_is_said(visit, rich):
    """Sets and intervals stand in the table, no band where nothing can be said, and both figures of a cross-check."""

    def unsure(image):
        found = rich(image)
        findings = tuple(replace(one, set="can't say", interval=(0.011, 0.25)) for one in found.findings)
        return replace(
            found,
            findings=findings,
            level="No reliable reading",
            recommendation="no reliable reading - Professional radiologist evaluation required",
            disagreements=(Disagreement("Edema", CUSTOM, 20.0, 61.0, 25.5),),
            promise=0.9,
            normal_claim=NormalClaim(0.05, Interval(0.04, 0.02, 0.07), None),
        )

    page = visit(unsure)
    read_example(page)
    summary = page.locator(".summary")
    expect(summary).to_contain_text("Clinical confidence level No reliable reading")
    expect(summary).to_contain_text("no reliable reading - Professional radiologist evaluation required")
    expect(summary.locator(".meter .on")).to_have_count(0)
    expect(page.get_by_role("note", name="Cross-check")).to_contain_text(
        f"Edema: {CUSTOM} gives 20.0, the others 61.0. Further apart than 25.5 is unusual."
    )
    row = page.get_by_role("row").filter(has=page.get_by_role("button", name="Effusion", exact=True))
    expect(row).to_contain_text("set: can't say")
    expect(row).to_contain_text("1.1 %–25 %")
    page.get_by_text("What do these numbers mean?").click()
    expect(page.locator(".meanings")).to_contain_text("at least 90 % have a set that holds “present”")
    expect(page.locator(".meanings")).to_contain_text("of validation films with a listed finding, 4.0 % (2.0 %–7.0 %)")
