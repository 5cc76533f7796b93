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

KeyHash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
HostName = Annotated[str, StringConstraints(to_lower=True, pattern=r"^[0-9A-Za-z.:-]+$")]


class Settings(EngineSettings):
    """Everything that can be set. Each field's description is its entry in the reference."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True)

    host: str = Field("127.0.0.1", description="Address to listen on. Anything but loopback needs an API key.")
    port: int = Field(5000, ge=0, le=65535, description="TCP port; 0 lets the system choose one.")
    workers: int = Field(2, ge=1, le=64, description="Films that are read and analyzed at the same time.")
    queue: int = Field(8, ge=0, le=10_000, description="Films that may wait for a worker; one more is answered 503.")
    max_upload_bytes: int = Field(
        64 * 2**20, ge=1024, le=2**31, description="Largest request body in bytes; a larger one is answered 413."
    )
    upload_seconds: float = Field(60.0, gt=0, description="Longest time that an upload may take before it is given up.")
    stop_seconds: int = Field(30, ge=0, description="How long a stop waits for answers that are under way.")
    api_key_hashes: tuple[KeyHash, ...] = Field(
        (), description="SHA-256 (hex) of each API key that is let in; none: no key is asked for."
    )
    allowed_hosts: tuple[HostName, ...] = Field(
        (), description="Names that the `Host` header may give beside loopback's own, as behind a reverse proxy."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe event logged.")

    @model_validator(mode="after")
    def _reachable_only_with_a_key(self) -> Self:
        """A service that others can reach asks who they are."""
        if self.api_key_hashes or (is_loopback(self.host) and not self.allowed_hosts):
            return self
        what = "allowed_hosts names other hosts" if is_loopback(self.host) else f"host {self.host!r} is not loopback"
        raise ValueError(
            f"{what}, so others could reach this service, but api_key_hashes is empty. "
            "Run `hilum serve --new-key`, keep the key, and set HILUM_API_KEY_HASHES to the hash that it prints"
        )


def load_settings(config: Path | None = None, **given: Any) -> Settings:
    """Read the settings: ``given`` (where not None) before the environment, before the TOML file, before defaults.

    Raises ConfigError for an unknown name in either place, a value out of range, or a file that can't be read.
    """
    return read_settings(Settings, config, given, apart=(NODE_PREFIX,))
