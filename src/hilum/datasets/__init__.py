"""Tables of labelled films: who, which view, which findings are present, absent or unknown; splits and leak checks."""
