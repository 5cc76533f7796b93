"""The HTTP service: one film in, one answer out, nothing kept."""
