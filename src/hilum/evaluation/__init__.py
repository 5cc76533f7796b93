"""Figures on labelled films, always with an interval and always by patient."""
