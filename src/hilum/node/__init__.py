"""The DICOM node: an inbox for films, a journal of what became of each, an outbox for results; and its smaller siblings."""
