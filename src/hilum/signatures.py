"""Who vouches for a model: Ed25519 signatures (RFC 8032) over what a bundle is, or what was measured of bundles together.

A manifest names the SHA-256 of every other file of its bundle, and loading checks them; so a signature over the SHA-256 of
the manifest covers every byte. ``ensemble.json`` lies beside the bundles, and has a signature of its own.

A signature is a file ``SHA256.SIGNER.sig`` in a folder apart: what ships can be signed without being touched. The first
part is the digest of what is signed, the second begins the public key; the content is the signature in base64.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hilum.errors import ConfigError, Untrusted
from hilum.private import read_private, write_private

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

What = Literal["manifest", "ensemble"]
_LARGEST = 1024
"""Bytes of a signature's file, at most."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose signatures count, and where they lie."""

    signers: tuple[bytes, ...]
    """Public keys, 32 bytes each."""
    folder: Path


def make_key(path: Path) -> Path:
    """Write a new private key, open to its owner only, and its public key beside it; return where that is.

    Raises ConfigError where either is there already.
    """
    from cryptography.hazmat.primitives import serialization as forms
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key, public = Ed25519PrivateKey.generate(), path.with_name(f"{path.name}.pub")
    if public.exists():
        raise ConfigError(f"There is a file {public} already. A key is never written over: choose another name.")
    private = key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption())
    write_private(path, private, "key")
    public.write_bytes(key.public_key().public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo))
    return public


def read_signer(path: Path) -> bytes:
    """Return the public key in a PEM file, 32 bytes. Raises ConfigError."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(
            f"The signer's key {path} can't be read ({type(error).__name__}). Expected the .pub that hilum models keygen wrote."
        ) from None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(
            f"The signer's key {path} is not of Ed25519. Expected the .pub that hilum models keygen wrote."
        )
    return key.public_bytes_raw()


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """Return the private key in a PEM file. Raises ConfigError, also where others may read it."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = read_private(path, "signing key", "hilum models keygen")
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(
            f"The signing key {path} can't be used ({type(error).__name__}). Expected PEM without a passphrase."
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"The signing key {path} is not of Ed25519. Make one with: hilum models keygen.")
    return key


def sign(folder: Path, what: What, digest: str, key: Ed25519PrivateKey) -> Path:
    """Write the signature of a digest (SHA-256, hex) into ``folder``, and return where it is."""
    path = _place(folder, digest, key.public_key().public_bytes_raw())
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(base64.b64encode(key.sign(_message(what, digest))) + b"\n")
    return path


def check(trust: Trust, what: What, digest: str, name: str) -> None:
    """Raise Untrusted unless one of the signers has signed the digest; ``name`` says in the error what that is."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    found = False
    for signer in trust.signers:
        signature = _read(_place(trust.folder, digest, signer))
        found = found or signature is not None
        try:
            Ed25519PublicKey.from_public_bytes(signer).verify(signature or b"", _message(what, digest))
        except InvalidSignature:
            continue
        return
    why = "has a signature that is not right" if found else "is not signed by a key that is trusted"
    raise Untrusted(
        f"{name} (sha256 {digest[:12]}…) {why}. Use one that is, or, where you have validated it, sign it: hilum models sign."
    )


def _place(folder: Path, digest: str, signer: bytes) -> Path:
    return folder / f"{digest}.{signer.hex()[:16]}.sig"


def _message(what: What, digest: str) -> bytes:
    """Return what is signed: what it is, so that no signature can stand for another kind of thing, and its digest."""
    return f"hilum signature 1\n{what}\n{digest}\n".encode()


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return base64.b64decode(file.read(_LARGEST).strip(), validate=True)
    except FileNotFoundError:
        return None
    except (OSError, binascii.Error):
        return b""
