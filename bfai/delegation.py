"""A connection's key, sealed a second time: to the key of a worker, which tests it while the vault is locked.

A worker is an X25519 key pair; its id is made from the public half. Sealed is with HPKE (RFC 9180: X25519, HKDF-SHA256,
AES-256-GCM, a fresh key each time), all fields as one, bound to owner, connection and worker: what was changed, or put
in another's place, does not open. Whoever has the private half opens what was delegated to it, and nothing else: not a
vault, not another connection. `docs/security.md` says what that means.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any, Final, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from bfai.i18n import N_
from bfai.model import BfaiError, Credentials, Message
from bfai.store import Delegation, Worker
from bfai.vault import VaultTooNew, encode

FORMAT: Final = 1
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class DelegationError(BfaiError):
    """What a worker was given cannot be used."""


class DelegationDamaged(DelegationError):
    """It was changed, or stands in another's place."""

    def __init__(self) -> None:
        text = N_(
            "What was sealed for the worker was changed from outside, so it stays sealed. Take it back on the"
            " connection's page, then delegate it again."
        )
        super().__init__(Message(text=text))


class NotDelegated(DelegationError):
    """It was taken back."""

    def __init__(self) -> None:
        super().__init__(Message(text=N_("This connection is not delegated any more, so it is not tested.")))


class BadWorkerKey(DelegationError):
    """A worker's key cannot be used, for the reason in its message."""


def worker_id(public_key: bytes) -> str:
    """32 hexadecimal digits that no other public key has."""
    return hashlib.sha256(encode("bfai worker", public_key)).hexdigest()[:32]


def fingerprint(worker: str) -> str:
    """A worker's id as people compare it."""
    return " ".join(worker[place : place + 4] for place in range(0, len(worker), 4))


def is_genuine(worker: Worker) -> bool:
    """Whether the id is that of the public key: what is shown is what is sealed to."""
    return len(worker.public_key) == 32 and worker.id == worker_id(worker.public_key)


def seal_to(worker: Worker, owner: str, connection_id: str, credentials: Credentials) -> bytes:
    """What only this worker opens. Raises BadWorkerKey for one that is not what it says."""
    if not is_genuine(worker):
        text = N_("The key of the worker {name} was changed from outside, so nothing is sealed to it.")
        raise BadWorkerKey(Message(text=text, params={"name": worker.name}))
    plain = json.dumps(credentials.fields()).encode("ascii")
    public = X25519PublicKey.from_public_bytes(worker.public_key)
    return _SUITE.encrypt(plain, public, info=_bound_to(owner, connection_id, worker.id))


def _bound_to(owner: str, connection_id: str, worker: str) -> bytes:
    return encode("bfai delegation", FORMAT, owner, connection_id, worker)


class WorkerKey:
    """The private key of a worker. Shows nothing, is never pickled or copied."""

    __slots__ = ("_key", "id", "public")

    def __init__(self, key: X25519PrivateKey) -> None:
        self._key = key
        self.public: bytes = key.public_key().public_bytes_raw()
        self.id = worker_id(self.public)

    def __repr__(self) -> str:
        return f"WorkerKey({self.id}, …)"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a worker's key is never pickled or copied")

    @classmethod
    def make(cls, file: Path) -> WorkerKey:
        """A new one, in a new file that only this user may read. Raises BadWorkerKey where it cannot be written."""
        key = X25519PrivateKey.generate()
        words = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        try:
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                out.write(words)
        except FileExistsError:
            text = N_("{file} exists already, and what is in it stays. Choose another file.")
            raise BadWorkerKey(Message(text=text, params={"file": str(file)})) from None
        except OSError as error:
            text = N_("{file} cannot be written: {reason}.")
            reason = error.strerror or type(error).__name__
            raise BadWorkerKey(Message(text=text, params={"file": str(file), "reason": reason})) from None
        return cls(key)

    @classmethod
    def read(cls, file: Path) -> WorkerKey:
        """From its file. Raises BadWorkerKey where there is none in it, or where others may read it."""
        try:
            words, mode = file.read_bytes(), file.stat().st_mode
            key = serialization.load_pem_private_key(words, None)
        except (OSError, ValueError, TypeError):
            key, mode = None, 0
        if not isinstance(key, X25519PrivateKey):
            text = N_("There is no worker's key in {file}. Make one with: python -m bfai worker --new-key FILE")
            raise BadWorkerKey(Message(text=text, params={"file": str(file)}))
        if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
            text = N_("Others may read {file}, so the key in it is not used. Make it yours alone: chmod 600")
            raise BadWorkerKey(Message(text=text, params={"file": str(file)}))
        return cls(key)

    def open(self, owner: str, connection_id: str, given: Delegation | None) -> Credentials:
        """The credentials of this connection of this owner. Raises NotDelegated, DelegationDamaged, VaultTooNew."""
        if given is None or given.worker_id != self.id:
            raise NotDelegated()
        if given.format > FORMAT:
            raise VaultTooNew()
        try:
            bound = _bound_to(owner, connection_id, self.id)
            return Credentials.from_fields(json.loads(_SUITE.decrypt(given.sealed, self._key, info=bound)))
        except (InvalidTag, ValueError, TypeError, LookupError, AttributeError):
            raise DelegationDamaged() from None
