"""A service that asks for an API key."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from hilum.server.keys import add_key

pytestmark = pytest.mark.browser


def test_the_key_is_asked_for_and_kept_in_this_tab_only(visit, tmp_path):
    """The page asks for the key when it is needed, again when it is wrong, and not a second time when it is right."""
    right = add_key(tmp_path / "keys.json", "analyst", "page", datetime.now(UTC))
    page = visit(keys=tmp_path / "keys.json")
    page.get_by_role("button", name="Label: Cardiomegaly").click()
    dialog = page.get_by_role("dialog", name="This service asks for an API key")
    dialog.get_by_role("textbox", name="API key").fill("wrong")
    dialog.get_by_role("button", name="Use this key").click()
    expect(page.get_by_role("dialog", name="That API key is not known here")).to_be_visible()
    page.get_by_role("textbox", name="API key").fill(right)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Findings")).to_be_visible()
    page.get_by_role("button", name="Label: Consolidation and Pneumonia").click()
    expect(page.locator(".example")).to_contain_text("00010610_003.png")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    assert right not in page.url


def test_without_a_key_the_page_says_what_is_missing(visit, tmp_path):
    """Who gives no key is told that one is needed, and can try again."""
    add_key(tmp_path / "keys.json", "analyst", "page", datetime.now(UTC))
    page = visit(keys=tmp_path / "keys.json")
    page.get_by_role("button", name="Label: Cardiomegaly").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("alert")).to_contain_text("A valid API key is needed")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def test_a_key_of_another_role_is_not_enough(visit, tmp_path):
    """Who may not send films is told so, and can give another key."""
    reader = add_key(tmp_path / "keys.json", "reader", "page", datetime.now(UTC))
    page = visit(keys=tmp_path / "keys.json")
    page.get_by_role("button", name="Label: Cardiomegaly").click()
    page.get_by_role("textbox", name="API key").fill(reader)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="That API key may not send films")).to_be_visible()
