"""The node's one frozen settings record, read once at start from ``HILUM_NODE_*``, a TOML file and the command line."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_settings import SettingsConfigDict

from hilum.settings import EngineSettings, is_loopback, read_settings

PREFIX = "HILUM_NODE_"

AeTitle = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[ -\[\]-~]{1,16}$")]
"""1–16 characters of ASCII without backslash (PS3.5, value representation AE)."""
Network = IPv4Network | IPv6Network
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,32}$")]
Result = Literal["sr", "sc"]


class DimsePeer(BaseModel):
    """A peer that results go to by C-STORE."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name = Field(description="What logs and metrics call it.")
    ae_title: AeTitle = Field(description="Its AE title.")
    host: str = Field(description="Its address.")
    port: int = Field(ge=1, le=65535, description="Its TCP port.")
    tls: bool = Field(False, description="Whether to speak TLS, with the node's own certificate where it has one.")


class StowPeer(BaseModel):
    """A peer that results go to by STOW-RS."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name = Field(description="What logs and metrics call it.")
    url: Annotated[str, StringConstraints(pattern=r"^https?://[^@\s]+$")] = Field(
        description="Its DICOMweb root, such as `https://pacs.example.org/dicom-web`."
    )
    authorization: Path | None = Field(
        None, description="File that holds the value of the `Authorization` header; read at each delivery."
    )


Peer = DimsePeer | StowPeer


class NodeSettings(EngineSettings):
    """Everything that can be set. Each field's description is its entry in the reference."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True)

    ae_title: AeTitle = Field("HILUM", description="The node's own AE title; a caller must call it so.")
    host: str = Field("127.0.0.1", description="Address to listen on. Anything but loopback needs both allow-lists.")
    port: int = Field(11112, ge=0, le=65535, description="TCP port; 0 lets the system choose one.")
    callers: tuple[AeTitle, ...] = Field((), description="AE titles that may call; none: any.")
    addresses: tuple[Network, ...] = Field(
        (), description="Networks that may connect, such as `10.1.0.0/16`; none: any."
    )
    peers: tuple[Peer, ...] = Field((), description="Where results go; each gets every result. At least one.")
    returns: tuple[Result, ...] = Field(("sr", "sc"), min_length=1, description="Which results are made of each film.")
    spool: Path = Field(Path("spool"), description="Folder of films and results under way, and of the journal.")
    spool_films: int = Field(1000, ge=1, description="Films that the spool may hold; one more is answered 0xA700.")
    spool_bytes: int = Field(20 * 2**30, ge=2**20, description="Bytes of films that the spool may hold.")
    film_bytes: int = Field(
        64 * 2**20, ge=1024, le=2**31, description="Largest film in bytes; a larger one is answered 0xC000."
    )
    associations: int = Field(10, ge=1, le=1000, description="Callers that are served at the same time.")
    idle_seconds: float = Field(60.0, gt=0, description="How long a caller may be silent before it is hung up on.")
    attempts: int = Field(5, ge=1, description="How often an analysis is begun before the film is a dead letter.")
    retry_seconds: float = Field(
        1.0, gt=0, description="Wait after a first failed delivery; doubled after each further one."
    )
    retry_most_seconds: float = Field(600.0, gt=0, description="Longest wait between two deliveries.")
    give_up_hours: float = Field(72.0, gt=0, description="How long a delivery is tried before it is a dead letter.")
    remember_days: float = Field(
        30.0, gt=0, description="How long finished films are known again, and dead letters are kept."
    )
    tls_certificate: Path | None = Field(
        None, description="PEM file of the node's certificate chain; set: TLS is spoken."
    )
    tls_key: Path | None = Field(None, description="PEM file of the certificate's private key.")
    tls_authorities: Path | None = Field(
        None,
        description="PEM file of authorities. Callers then need a certificate of theirs, and peers are checked by them.",
    )
    metrics_port: int | None = Field(
        None, ge=0, le=65535, description="Port on loopback for Prometheus; unset: no metrics are served."
    )
    workers: int = Field(1, ge=1, le=64, description="Films that are analyzed at the same time.")
    stop_seconds: float = Field(30.0, ge=0, description="How long a stop waits for callers that are served.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe event logged.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Say what does not fit together."""
        if not is_loopback(self.host) and not (self.callers and self.addresses):
            raise ValueError(
                f"host {self.host!r} is not loopback, so others could send films, but callers or addresses is empty. "
                "Name the AE titles and the networks that may"
            )
        if not self.peers:
            raise ValueError("peers is empty, so no result could go anywhere. Name at least one")
        if len({peer.name for peer in self.peers}) < len(self.peers):
            raise ValueError("two peers have the same name. Expected each name once")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together, but only one of them is set")
        return self


def load_node_settings(config: Path | None = None, **given: Any) -> NodeSettings:
    """Read the settings: ``given`` (where not None) before the environment, before the TOML file, before defaults.

    Raises ConfigError for an unknown name in either place, a value out of range, or a file that can't be read.
    """
    return read_settings(NodeSettings, config, given)
