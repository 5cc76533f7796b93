"""``hilum serve``: its options and what it prints."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from hilum.cli.serve import greet, serve
from hilum.errors import ConfigError
from hilum.levels import DISCLAIMER

app = typer.Typer()
app.command()(serve)


@pytest.mark.parametrize("options", [["--host", "0.0.0.0"], ["--config", "none.toml"], ["--port", "70000"]])
def test_wrong_settings_end_before_a_model_is_opened(options):
    """A setting that can't be is a ConfigError, which the command line turns into its exit code."""
    assert isinstance(CliRunner().invoke(app, options).exception, ConfigError)


def test_greeting_names_models_address_and_limits():
    """At start one reads which models are open, what this is not for, and where to go."""
    manifest = SimpleNamespace(name="DenseNet121 (nothing-trained)", version="1.2.0")
    engine = SimpleNamespace(members=(SimpleNamespace(bundle=SimpleNamespace(manifest=manifest)),))
    output = io.StringIO()
    greet(Console(file=output, width=1000), engine, "http://127.0.0.1:5000")
    lines = output.getvalue().splitlines()
    assert lines[0] == "  DenseNet121 (nothing-trained), version 1.2.0"
    assert lines[-1] == "hilum is listening on http://127.0.0.1:5000"
    assert DISCLAIMER.split()[0] in output.getvalue()
