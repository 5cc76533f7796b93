"""Where devices burn text into the picture: a file of rules that the site writes for its own devices."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hilum.errors import ConfigError

_EXPECTED = (
    "Expected tables [[rule]], each with `regions` (a list of [x, y, width, height] in pixels) and, of `manufacturer`, "
    "`model`, `rows` and `columns`, those that it is for."
)


class Region(NamedTuple):
    """A rectangle in the film's own pixels, from its upper left corner."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Rule:
    """Regions to blank on each film that is as stated; what is None fits any."""

    regions: tuple[Region, ...]
    manufacturer: str | None = None
    model: str | None = None
    rows: int | None = None
    columns: int | None = None

    def fits(self, manufacturer: str, model: str, rows: int, columns: int) -> bool:
        """Say whether the rule is for such a film. Names are compared whole, without regard to case."""
        stated = ((self.manufacturer, manufacturer), (self.model, model))
        return (
            all(name is None or name.strip().casefold() == found.strip().casefold() for name, found in stated)
            and self.rows in (None, rows)
            and self.columns in (None, columns)
        )


def regions_for(rules: Iterable[Rule], manufacturer: str, model: str, rows: int, columns: int) -> tuple[Region, ...]:
    """Return the regions of every rule that fits."""
    fitting = [rule for rule in rules if rule.fits(manufacturer, model, rows, columns)]
    return tuple(region for rule in fitting for region in rule.regions)


def read_rules(path: Path) -> tuple[Rule, ...]:
    """Read a TOML file of rules. Raises ConfigError where one can't be used."""
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        raise ConfigError("The file of regions can't be read. Check that it exists and is text in UTF-8.") from None
    except ValueError as error:  # not TOML, or a number of thousands of digits
        raise ConfigError(f"The file of regions is not TOML: {error}.") from None
    rules = content.get("rule")
    if set(content) != {"rule"} or not isinstance(rules, list):
        raise ConfigError(f"The file of regions has no rules, or something else besides. {_EXPECTED}")
    return tuple(_rule(number, rule) for number, rule in enumerate(rules, 1))


def _rule(number: int, given: Any) -> Rule:
    types = {"regions": list, "manufacturer": str, "model": str, "rows": int, "columns": int}
    valid = isinstance(given, dict) and all(
        name in types and type(value) is types[name] for name, value in given.items()
    )
    if not valid or not given.get("regions") or not all(map(_is_region, given["regions"])):
        raise ConfigError(f"Rule {number} of the file of regions can't be used. {_EXPECTED}")
    return Rule(**{**given, "regions": tuple(Region(*region) for region in given["regions"])})


def _is_region(given: Any) -> bool:
    """Say whether this is a rectangle with an area. One may reach beyond the film: it is cut there."""
    if not isinstance(given, list) or len(given) != 4 or any(type(number) is not int for number in given):
        return False
    return bool(min(given[:2]) >= 0 and min(given[2:]) > 0)
