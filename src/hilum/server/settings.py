"""One frozen settings object, read once at start from ``HILUM_*``, an optional TOML file and the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_settings import SettingsConfigDict

from hilum.settings import EngineSettings, is_loopback, read_settings

PREFIX = "HILUM_"
NODE_PREFIX = "HILUM_NODE_"
"""Of the DICOM node's settings, which may stand in the same environment."""
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")

HostName = Annotated[str, StringConstraints(to_lower=True, pattern=r"^[0-9A-Za-z.:-]+$")]


class Settings(EngineSettings):
    """Everything that can be set. Each field's description is its entry in the reference."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True)

    host: str = Field(
        "127.0.0.1", description="Address to listen on. Anything but loopback needs `keys`, and TLS or `plain_http`."
    )
    port: int = Field(5000, ge=0, le=65535, description="TCP port; 0 lets the system choose one.")
    workers: int = Field(2, ge=1, le=64, description="Films that are read and analyzed at the same time.")
    queue: int = Field(8, ge=0, le=10_000, description="Films that may wait for a worker; one more is answered 503.")
    max_upload_bytes: int = Field(
        64 * 2**20, ge=1024, le=2**31, description="Largest request body in bytes; a larger one is answered 413."
    )
    upload_seconds: float = Field(60.0, gt=0, description="Longest time that an upload may take before it is given up.")
    stop_seconds: int = Field(30, ge=0, description="How long a stop waits for answers that are under way.")
    keys: Path | None = Field(
        None, description="File of API keys, as `hilum keys` writes it; unset: no key is asked for."
    )
    key_requests: int = Field(
        600, ge=1, description="Requests that one key may make in a minute; one more is answered 429."
    )
    tls_certificate: Path | None = Field(
        None, description="PEM file of the service's certificate chain; set: HTTPS is spoken, by TLS 1.2 or newer."
    )
    tls_key: Path | None = Field(None, description="PEM file of the certificate's private key.")
    audit: Path | None = Field(
        None, description="SQLite file of who saw what; set: an answer that can't be written down there is withheld."
    )
    audit_key: Path | None = Field(
        None, description="File of the secret behind the audit's hashes, as `hilum audit new-key` writes it."
    )
    plain_http: bool = Field(
        False, description="Whether a service beyond loopback may speak plain HTTP, since a proxy before it speaks TLS."
    )
    allowed_hosts: tuple[HostName, ...] = Field(
        (), description="Names that the `Host` header may give beside loopback's own, as behind a reverse proxy."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe event logged.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        """A service that others can reach asks who they are, and sends nothing in the clear unless that is said."""
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together, but only one of them is set")
        if (self.audit is None) != (self.audit_key is None):
            raise ValueError("audit and audit_key go together, but only one of them is set")
        local = is_loopback(self.host)
        if self.keys is None and not (local and not self.allowed_hosts):
            what = "allowed_hosts names other hosts" if local else f"host {self.host!r} is not loopback"
            raise ValueError(
                f"{what}, so others could reach this service, but keys is not set. "
                "Make a key with `hilum keys add`, and set HILUM_KEYS to the file that it writes"
            )
        if not local and self.tls_certificate is None and not self.plain_http:
            raise ValueError(
                f"host {self.host!r} is not loopback, so keys and films would cross the network in the clear. Set "
                "tls_certificate and tls_key, or plain_http where a proxy that speaks TLS stands before the service"
            )
        return self


def load_settings(config: Path | None = None, **given: Any) -> Settings:
    """Read the settings: ``given`` (where not None) before the environment, before the TOML file, before defaults.

    Raises ConfigError for an unknown name in either place, a value out of range, or a file that can't be read.
    """
    return read_settings(Settings, config, given, apart=(NODE_PREFIX,))
