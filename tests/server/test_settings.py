"""Settings come from three places, know their names, and never open a service to others without a key."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from hilum.errors import ConfigError
from hilum.server.settings import Settings, load_settings
from hilum.settings import is_loopback

KEYS = Path("keys.json")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("HILUM_")]:
        monkeypatch.delenv(name)


def test_defaults_are_loopback_and_5000():
    """With nothing set, only this machine is answered, on port 5000."""
    settings = load_settings()
    assert (settings.host, settings.port, settings.keys) == ("127.0.0.1", 5000, None)


def test_nearer_places_win(tmp_path, monkeypatch):
    """Command line before environment before file before default."""
    config = tmp_path / "hilum.toml"
    config.write_text("port = 1\nworkers = 3\nqueue = 4\nprevalence = {Effusion = 0.2}\n")
    monkeypatch.setenv("HILUM_PORT", "2")
    monkeypatch.setenv("HILUM_QUEUE", "5")
    settings = load_settings(config, port=6, host=None)
    assert (settings.port, settings.queue, settings.workers) == (6, 5, 3)
    assert settings.prevalence == {"Effusion": 0.2}
    assert settings.host == "127.0.0.1"


def test_the_environment_names_the_file(tmp_path, monkeypatch):
    """HILUM_CONFIG is read where --config is not given."""
    config = tmp_path / "hilum.toml"
    config.write_text("workers = 7\n")
    monkeypatch.setenv("HILUM_CONFIG", str(config))
    assert load_settings().workers == 7


def test_lists_and_tables_are_json_in_the_environment(monkeypatch):
    """Names and prevalences can be set without a file."""
    monkeypatch.setenv("HILUM_ALLOWED_HOSTS", '["films.example"]')
    monkeypatch.setenv("HILUM_PREVALENCE", '{"Effusion": 0.1}')
    settings = load_settings(keys=KEYS)
    assert settings.allowed_hosts == ("films.example",)
    assert settings.prevalence == {"Effusion": 0.1}


@pytest.mark.parametrize(
    ("name", "said"), [("HILUM_PROT", "did you mean HILUM_PORT"), ("HILUM_XYZZY_QQQ", "known are HILUM_ALLOWED_HOSTS")]
)
def test_unknown_variables_are_refused(monkeypatch, name, said):
    """A mistyped variable is named, with the nearest known one."""
    monkeypatch.setenv(name, "1")
    with pytest.raises(ConfigError, match=f"{name}: {said}"):
        load_settings()


def test_unknown_names_in_the_file_are_refused(tmp_path):
    """A mistyped name in the file is named, with the nearest known one."""
    config = tmp_path / "hilum.toml"
    config.write_text("polcy = 'youden'\n")
    with pytest.raises(ConfigError, match="Unknown setting polcy: did you mean policy"):
        load_settings(config)


@pytest.mark.parametrize("content", [b"port = ", b"\xff\xfe"])
def test_broken_files_are_refused(tmp_path, content):
    """A file that is not TOML is an error that says so."""
    config = tmp_path / "hilum.toml"
    config.write_bytes(content)
    with pytest.raises(ConfigError, match="configuration file"):
        load_settings(config)


def test_a_missing_file_is_refused(tmp_path):
    """A configuration file that is asked for must be there."""
    with pytest.raises(ConfigError, match="can't be read"):
        load_settings(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HILUM_PORT", "70000"),
        ("HILUM_WORKERS", "0"),
        ("HILUM_PREVALENCE", '{"Effusion": 2}'),
        ("HILUM_POLICY", "best"),
    ],
)
def test_values_out_of_range_are_refused(monkeypatch, name, value):
    """A wrong value is refused by its setting's name, without repeating the value."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=name.removeprefix("HILUM_").lower()) as error:
        load_settings()
    assert value not in str(error.value)


def test_values_are_not_repeated(monkeypatch):
    """A secret that was put into the wrong setting does not show in the error."""
    monkeypatch.setenv("HILUM_ALLOWED_HOSTS", '["the key itself"]')
    with pytest.raises(ConfigError, match="allowed_hosts") as error:
        load_settings(keys=KEYS)
    assert "the key itself" not in str(error.value)
    monkeypatch.setenv("HILUM_ALLOWED_HOSTS", "the-key-itself")
    with pytest.raises(ConfigError, match="allowed_hosts is not valid JSON") as error:
        load_settings(keys=KEYS)
    assert "the-key-itself" not in str(error.value)


@pytest.mark.parametrize(
    "given", [{"host": "0.0.0.0"}, {"host": "::"}, {"host": "films.example"}, {"allowed_hosts": ("films.example",)}]
)
def test_reachable_by_others_needs_keys(given):
    """Without keys, no address or name beyond loopback is served, and the error says how to make one."""
    with pytest.raises(ConfigError, match="hilum keys add"):
        load_settings(**given, plain_http=True)
    assert load_settings(**given, plain_http=True, keys=KEYS).keys == KEYS


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "films.example"])
def test_nothing_goes_in_the_clear_unasked(host):
    """Beyond loopback a service speaks TLS, or is told that a proxy does."""
    with pytest.raises(ConfigError, match="in the clear"):
        load_settings(host=host, keys=KEYS)
    for way in ({"plain_http": True}, {"tls_certificate": "c.pem", "tls_key": "k.pem"}):
        assert load_settings(host=host, keys=KEYS, **way).host == host


def test_certificate_and_key_go_together():
    """One of the two TLS files alone is a mistake."""
    with pytest.raises(ConfigError, match="go together"):
        load_settings(tls_certificate="c.pem")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_none(host):
    """Every spelling of this machine is loopback."""
    assert is_loopback(host)
    assert load_settings(host=host).host == host


def test_settings_can_not_change():
    """Once read, a setting stays."""
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1


def test_the_nodes_variables_are_not_the_services(monkeypatch):
    """The DICOM node's variables may stand in the same environment."""
    monkeypatch.setenv("HILUM_NODE_PORT", "11112")
    assert load_settings().port == 5000
