"""A DICOM film without its patient: PS3.15 Annex E, Basic Application Level Confidentiality Profile."""

from __future__ import annotations

from hilum.deidentify.film import Deidentified, deidentify
from hilum.deidentify.profile import EDITION
from hilum.deidentify.pseudonyms import Pseudonyms, new_key, read_key
from hilum.deidentify.regions import Rule, read_rules

__all__ = ["EDITION", "Deidentified", "Pseudonyms", "Rule", "deidentify", "new_key", "read_key", "read_rules"]
