"""The error tree. Every class has a stable ``code`` that the edges translate and the reference lists.

::

    HilumError
    ├── InputError                  what was given can't be used
    │   ├── UnreadableImage         no decoder can make a film of these bytes
    │   ├── UnsupportedSyntax       a known format in an encoding that is not read here
    │   ├── ImageTooLarge           beyond the limits on bytes, pixels or memory
    │   └── BurnedInText            a patient's name may stand in the picture itself
    ├── BundleError                 a model can't be used
    │   ├── BundleNotFound
    │   ├── HashMismatch            a file is not the one that its record names
    │   ├── Incompatible            manifest, graph or file do not fit together
    │   ├── Untrusted               not signed by a key that is trusted
    │   └── UnsafeFile              a file asks for more than being read as data
    ├── DownloadFailed              what was to be fetched did not come, or not whole
    ├── NoSpace                     the disk has no room for what is to be written
    ├── DatasetError                a table, split or data set folder is not as its layout says
    ├── ConfigError                 a setting or configuration file is wrong
    ├── AuditFailed                 who saw what can't be written down, or read
    ├── PeerError                   another system can't be reached, or does not do what it is asked
    └── Busy                        every worker is taken and the queue is full, or no process can be had

A message says what was found, what was expected and what to do. It never contains patient data: no file
names, no header values, no pixels.
"""

from __future__ import annotations


class HilumError(Exception):
    """Base of every error that this package raises on purpose."""

    code = "error"


class InputError(HilumError):
    """What was given can't be used."""

    code = "input_error"


class UnreadableImage(InputError):
    """No decoder can make a film of these bytes."""

    code = "unreadable_image"


class UnsupportedSyntax(InputError):
    """A known format in an encoding that is not read here."""

    code = "unsupported_syntax"


class ImageTooLarge(InputError):
    """The image is beyond the limits on bytes, pixels or memory."""

    code = "image_too_large"


class BurnedInText(InputError):
    """A patient's name may stand in the picture itself, and nobody said where."""

    code = "burned_in_text"


class BundleError(HilumError):
    """A model can't be used."""

    code = "bundle_error"


class BundleNotFound(BundleError):
    """There is no bundle at the place given."""

    code = "bundle_not_found"


class HashMismatch(BundleError):
    """A file is not the one that its manifest, or the record of an earlier download, names."""

    code = "hash_mismatch"


class Incompatible(BundleError):
    """Manifest, graph or file do not fit together, or not with this version."""

    code = "incompatible"


class Untrusted(BundleError):
    """Signatures are asked for, and this has none of a key that is trusted."""

    code = "untrusted"


class UnsafeFile(BundleError):
    """A model file asks for more than being read as data."""

    code = "unsafe_file"


class DownloadFailed(HilumError):
    """What was to be fetched did not come, or not whole; trying again later is worth it."""

    code = "download_failed"


class NoSpace(HilumError):
    """The disk has no room for what is to be written."""

    code = "no_space"


class DatasetError(HilumError):
    """A table, split or data set folder is not as its layout says."""

    code = "dataset_error"


class ConfigError(HilumError):
    """A setting or configuration file is wrong."""

    code = "config_error"


class AuditFailed(HilumError):
    """Who saw what can't be written down, or read."""

    code = "audit_failed"


class PeerError(HilumError):
    """Another system can't be reached, or does not do what it is asked."""

    code = "peer_error"


class Busy(HilumError):
    """Every worker is taken and the queue is full, or no process can be had; trying again later is worth it."""

    code = "busy"
