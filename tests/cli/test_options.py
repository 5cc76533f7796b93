"""What several commands ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from hilum.cli.options import models_folder, parse_prevalences, parse_scopes
from hilum.errors import ConfigError


def test_models_beside_the_caller_are_used(tmp_path, monkeypatch):
    """Without an option, ./models is used where it exists."""
    monkeypatch.chdir(tmp_path)
    assert models_folder(None) is None
    (tmp_path / "models").mkdir()
    assert models_folder(None) == Path("models")
    assert models_folder(tmp_path) == tmp_path


def test_prevalences_are_read_by_finding():
    """FINDING=SHARE, several of them, spaces around the name allowed."""
    assert parse_prevalences(["Effusion=0.12", "Pleural Thickening =0.03"]) == {
        "Effusion": 0.12,
        "Pleural Thickening": 0.03,
    }


@pytest.mark.parametrize("text", ["Effusion", "Effusion=many", "="])
def test_a_wrong_prevalence_is_shown(text):
    """What is not FINDING=SHARE is named with an example of what is."""
    with pytest.raises(ConfigError, match=r"Effusion=0\.12"):
        parse_prevalences([text])


def test_scopes_are_read_by_code():
    """CODE=ACTION, several of them; what is not of that form is named with an example of what is."""
    assert parse_scopes(["paediatric=refuse", "lateral_view = warn"]) == {
        "paediatric": "refuse",
        "lateral_view": "warn",
    }
    with pytest.raises(ConfigError, match="paediatric=refuse"):
        parse_scopes(["paediatric"])
