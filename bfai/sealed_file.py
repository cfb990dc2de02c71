"""A file that is sealed as a whole: bytes in, compressed, encrypted and authenticated in chunks, and out again.

It is written and read as a stream, so its size needs no memory. Nothing is given out that was not found genuine, and
the end is found genuine only when it is the end: a flipped bit, a cut, chunks left out, doubled or in another order are
refused. `docs/backup.md` has the format byte for byte.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zlib
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bfai.i18n import N_
from bfai.model import BfaiError, Message
from bfai.recovery_code import BadCode, read_code
from bfai.store import Wrap
from bfai.vault import Cost, VaultDamaged, VaultTooNew, WrongPassword, file_key, unwrap_key

MAGIC: Final = b"\x89BFAI-BACKUP\r\n\x1a\n"
VERSION: Final = 1
CHUNK: Final = 256 * 1024
MOST: Final = Cost(memory_kib=128 * 1024, passes=16, lanes=16)
"""What a file may ask of this computer before it is known to be genuine."""
OWN: Final = "own"
"""The kind of wrap that is under a password of the file's own."""

_LONGEST_HEADER = 16 * 1024
_MOST_WRAPS = 4
_PRELUDE = len(MAGIC) + 2 + 4 + 32  # version, length of the header, SHA-256 of all that
_TAG = 16
_PIECE = 1024 * 1024  # of what is unpacked at once, so that a small file cannot become a large one in memory


class BackupError(BfaiError):
    """A backup cannot be made, read or restored."""


class NoBackup(BackupError):
    """The file is something else."""

    def __init__(self) -> None:
        super().__init__(Message(text=N_("This file is no backup of the workbench. Choose another file.")))


class BackupDamaged(BackupError):
    """It was changed, or it is not whole."""

    def __init__(self) -> None:
        text = N_(
            "This backup is damaged or cut short, so nothing of it is used. Copy or download it again, or take another"
            " backup."
        )
        super().__init__(Message(text=text))


class BackupTooNew(BackupError):
    """Made by a newer version of this program."""

    def __init__(self) -> None:
        text = N_("This backup was made by a newer version of this program. Update the program to read it.")
        super().__init__(Message(text=text))


class WrongBackupPassword(BackupError):
    """That does not open it."""

    def __init__(self, own: bool) -> None:
        if own:
            text = N_("That does not open this backup. It has a password of its own, given when it was made.")
        else:
            text = N_(
                "That does not open this backup. It opens with the master password, or the recovery code, that the"
                " vault had when the backup was made."
            )
        super().__init__(Message(text=text))


class Header(NamedTuple):
    """What stands in the clear. `id` is the vault's, or the file's where it has a password of its own; `wraps` hold
    the key from which the file's is derived, with `file_id`. `digest` binds every chunk to all of it.
    """

    id: str
    file_id: bytes
    wraps: Mapping[str, Wrap]
    digest: bytes

    @property
    def own(self) -> bool:
        """Whether it has a password of its own."""
        return OWN in self.wraps

    def key(self, typed: str) -> bytes:
        """The file's key, from the password or the recovery code. One derivation, or two where it could be either.

        Raises `WrongBackupPassword`, `BackupDamaged`, `BackupTooNew`, and `NoMemory`.
        """
        code = _code(typed)
        for kind, wrap in self.wraps.items():
            word = code if kind == "recovery" else typed
            if word is None:
                continue
            try:
                return file_key(unwrap_key(self.id, wrap, word, most=MOST), self.file_id)
            except WrongPassword:
                continue
            except VaultDamaged:
                raise BackupDamaged from None
            except VaultTooNew:
                raise BackupTooNew from None
        raise WrongBackupPassword(self.own)


def _code(typed: str) -> str | None:
    try:
        return read_code(typed)
    except BadCode:
        return None


# The header


def _header(id: str, file_id: bytes, wraps: Mapping[str, Wrap]) -> bytes:
    rows = [
        {name: value.hex() if isinstance(value, bytes) else value for name, value in wrap._asdict().items()}
        for wrap in wraps.values()
    ]
    body = json.dumps({"id": id, "file_id": file_id.hex(), "wraps": rows}, separators=(",", ":")).encode()
    return _prelude(VERSION, body) + body


def _prelude(version: int, body: bytes) -> bytes:
    start = MAGIC + version.to_bytes(2, "big") + len(body).to_bytes(4, "big")
    return start + hashlib.sha256(start + body).digest()


def read_header(file: BinaryIO) -> Header:
    """The header of the file at its place, which is behind it afterwards.

    Raises `NoBackup`, `BackupDamaged`, `BackupTooNew`.
    """
    prelude = file.read(_PRELUDE)
    if prelude[: len(MAGIC)] != MAGIC:
        # What was sent as text has other line ends.
        raise BackupDamaged() if prelude[:12] == MAGIC[:12] else NoBackup()
    version = int.from_bytes(prelude[len(MAGIC) : len(MAGIC) + 2], "big")
    length = int.from_bytes(prelude[len(MAGIC) + 2 : len(MAGIC) + 6], "big")
    if len(prelude) < _PRELUDE or length > _LONGEST_HEADER:
        raise BackupDamaged()
    body = file.read(length)
    if _prelude(version, body) != prelude:
        raise BackupDamaged()
    if version > VERSION:
        raise BackupTooNew()
    try:
        found: dict[str, Any] = json.loads(body)
        wraps = {row["kind"]: _wrap(row) for row in found["wraps"]}
        id, file_id = str(found["id"]), bytes.fromhex(found["file_id"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise BackupDamaged() from None
    if version != VERSION or not 0 < len(wraps) <= _MOST_WRAPS:
        raise BackupDamaged()
    return Header(id, file_id, wraps, hashlib.sha256(prelude + body).digest())


def _wrap(row: dict[str, Any]) -> Wrap:
    numbers = [row[name] for name in ("format", "memory_kib", "passes", "lanes")]
    if not isinstance(row["kind"], str) or any(type(one) is not int or not 0 <= one < 2**32 for one in numbers):
        raise ValueError
    salt, nonce, ciphertext, checksum = (
        bytes.fromhex(row[name]) for name in ("salt", "nonce", "ciphertext", "checksum")
    )
    format_, memory_kib, passes, lanes = numbers
    return Wrap(row["kind"], format_, salt, memory_kib, passes, lanes, nonce, ciphertext, checksum)


# The chunks


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


class SealedWriter:
    """Writes a sealed file, from its header on. `file_id` must be fresh, and `key` its key. `close()` ends it."""

    def __init__(self, file: BinaryIO, *, id: str, file_id: bytes, wraps: Mapping[str, Wrap], key: bytes) -> None:
        header = _header(id, file_id, wraps)
        self._file = file
        self._sealing = AESGCM(key)
        self._digest = hashlib.sha256(header).digest()
        self._packing = zlib.compressobj()
        self._waiting = bytearray()
        self._number = 0
        file.write(header)

    def write(self, data: bytes) -> None:
        self._waiting += self._packing.compress(data)
        while len(self._waiting) > CHUNK:  # never all of it: the last chunk says that it is
            self._put(bytes(self._waiting[:CHUNK]), last=False)
            del self._waiting[:CHUNK]

    def close(self) -> None:
        self._waiting += self._packing.flush()
        while len(self._waiting) > CHUNK:
            self._put(bytes(self._waiting[:CHUNK]), last=False)
            del self._waiting[:CHUNK]
        self._put(bytes(self._waiting), last=True)

    def _put(self, chunk: bytes, *, last: bool) -> None:
        self._file.write(self._sealing.encrypt(_nonce(self._number, last), chunk, self._digest))
        self._number += 1


def unsealed(file: BinaryIO, header: Header, key: bytes) -> Iterator[bytes]:
    """What was written, in pieces of at most a megabyte, from behind the header on. Raises `BackupDamaged`, at the
    latest at the end: what it gave before that is genuine, but not all.
    """
    opening, unpacking, number = AESGCM(key), zlib.decompressobj(), 0
    chunk = file.read(CHUNK + _TAG)
    while True:
        following = file.read(CHUNK + _TAG)
        try:
            packed = opening.decrypt(_nonce(number, not following), chunk, header.digest)
            while packed:
                yield unpacking.decompress(packed, _PIECE)
                packed = unpacking.unconsumed_tail
        except (InvalidTag, zlib.error, ValueError):
            raise BackupDamaged() from None
        if not following:
            break
        chunk, number = following, number + 1
    if not unpacking.eof or unpacking.unused_data:
        raise BackupDamaged()


# The file


@contextlib.contextmanager
def written_whole(path: Path) -> Generator[BinaryIO]:
    """A file to write and read, for nobody else's eyes, which is at `path` if all within went well; else there is
    none. Raises `OSError`.
    """
    part = path.with_name(f"{path.name}.part-{os.urandom(4).hex()}")
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink()
        raise
    if hasattr(os, "O_DIRECTORY"):  # so that its name is on the disk as well
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
