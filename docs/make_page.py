"""Photograph docs/images/page.png: an example film that ships, as the page shows it.

make test-browser  # installs playwright and Chromium
.venv/bin/hilum serve --port 5099 & python docs/make_page.py http://127.0.0.1:5099
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

OUT = Path(__file__).parent / "images" / "page.png"
TO_THE_READING = """() => {
    const heading = [...document.querySelectorAll("h2")].find((one) => one.textContent.includes("The reading"));
    window.scrollTo(0, heading.getBoundingClientRect().top + window.scrollY - 40);
}"""


def main(address: str) -> None:
    """Choose the example with an effusion and its heat map, and take the picture."""
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=options)
        page = browser.new_page(viewport={"width": 1366, "height": 900})
        page.goto(address)
        page.locator("#gallery button").filter(has_text="Effusion").first.click()
        page.get_by_role("heading", name="The reading").wait_for()
        page.get_by_role("row").filter(has_text="Effusion").first.click()
        page.mouse.move(5, 5)
        page.evaluate(TO_THE_READING)
        page.wait_for_timeout(1000)  # for the heat map to fade in
        page.screenshot(path=OUT)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1])
