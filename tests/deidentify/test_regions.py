"""Rules of where devices burn text in."""

from __future__ import annotations

import pytest

from hilum.deidentify.regions import Region, Rule, read_rules, regions_for
from hilum.errors import ConfigError

TEXT = """
[[rule]]
manufacturer = "ACME"
model = "Scan 3"
rows = 96
columns = 80
regions = [[0, 0, 40, 8], [0, 90, 80, 6]]

[[rule]]
regions = [[70, 0, 10, 10]]
rows = 100
"""


def test_a_rule_fits_what_it_states(tmp_path):
    """Names are compared whole and without case, sizes exactly; what a rule does not state fits any."""
    path = tmp_path / "regions.toml"
    path.write_text(TEXT)
    rules = read_rules(path)
    assert regions_for(rules, " acme ", "SCAN 3", 96, 80) == (Region(0, 0, 40, 8), Region(0, 90, 80, 6))
    assert regions_for(rules, "ACME", "Scan 30", 96, 80) == ()
    assert regions_for(rules, "", "", 100, 5) == (Region(70, 0, 10, 10),)
    assert Rule((Region(0, 0, 1, 1),)).fits("any", "any", 1, 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rule = 1",
        "[[rule]]\nrows = 3",
        "[[rule]]\nregions = []",
        "[[rule]]\nregions = [[0, 0, 0, 5]]",
        "[[rule]]\nregions = [[-1, 0, 5, 5]]",
        "[[rule]]\nregions = [[0, 0, 5]]",
        "[[rule]]\nregions = [[0, 0, 5, 5.5]]",
        "[[rule]]\nregions = [[0, 0, 5, 5]]\nrows = '96'",
        "[[rule]]\nregions = [[0, 0, 5, 5]]\nmaker = 'ACME'",
        "[[rule]]\nregions = [[0, 0, 5, 5]]\n[other]",
        "not toml",
    ],
)
def test_a_rule_that_says_nothing_is_refused(tmp_path, text):
    """A rule without a rectangle, or with a word that is not known, would leave names in the picture."""
    path = tmp_path / "regions.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="regions"):
        read_rules(path)


def test_a_missing_file_of_rules_is_refused(tmp_path):
    """Without its name."""
    with pytest.raises(ConfigError, match="can't be read") as caught:
        read_rules(tmp_path / "CANARY.toml")
    assert "CANARY" not in str(caught.value)
