"""The edge of the command line."""

from __future__ import annotations

import resource

from hilum import pipeline


def test_a_fault_in_the_program_quotes_nothing(hilum, tiny_models, monkeypatch):
    """What no command expects ends with 2, a class and places in the code, and no message, which may quote a film."""

    def fail(*_: object, **__: object) -> None:
        raise ValueError("DOE^JANE")

    monkeypatch.setattr(pipeline, "open_engine", fail)
    done = hilum("analyze", "DOE.png")
    assert done.code == 2
    assert "test_main.py:" in done.err
    assert "ValueError" in done.err
    assert "DOE" not in done.out + done.err


def test_a_report_that_cannot_be_written_does_not_name_the_film(hilum, tiny_models, film_png, tmp_path):
    """A name that is too long for a report, or a folder that is a file, is an error without that name."""
    name = f"DOE{'x' * 245}.png"
    (tmp_path / name).write_bytes(film_png)
    for out in ("reports", name):
        done = hilum("analyze", name, "--html", "--out", out)
        assert done.code == 2
        assert "config_error" in done.err
        assert "DOE" not in done.out + done.err


def test_a_crash_writes_no_memory(hilum, tiny_models):
    """A core file would hold the films in memory; none is written by a command, nor by what it starts."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    try:
        hilum("models", "list")
        assert resource.getrlimit(resource.RLIMIT_CORE)[0] == 0
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
