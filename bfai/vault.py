"""Seals the secrets of connections, and opens them for whoever knows the master password.

A vault has one random 256-bit data key. A key derived from the password (Argon2id) wraps it, so a new password re-wraps
one row, and unlocking costs one derivation however many connections there are. Every secret is sealed with AES-256-GCM
and bound to its vault, its connection (or alert channel) and its field: one that was changed, or put in another's
place, does not open.
`docs/vault.md` has the format byte for byte, with test vectors.

What is not defended: a program that reads the memory of this one while the vault is open. Python cannot promise to
erase a key; `Vault.lock` overwrites the one copy that it owns and lets go of the rest.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import threading
import unicodedata
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from bfai.i18n import N_, NN_
from bfai.model import BfaiError, Channel, Connection, Credentials, Message, utc_now
from bfai.recovery_code import read_code
from bfai.store import Resealed, Sealed, Store, VaultRow, Wrap

FORMAT: Final = 1
MINIMUM_LENGTH: Final = 10  # characters of a master password
FREE_FAILURES: Final = 3  # from this one on, every failed unlock is followed by a wait
LONGEST_WAIT_S: Final = 300.0

_KEY_BYTES, _NONCE_BYTES, _SALT_BYTES, _TAG_BYTES = 32, 12, 16, 16
_BY_PASSWORD, _BY_CODE = "password", "recovery"


class Cost(NamedTuple):
    """What one derivation costs: memory in KiB, passes over it, lanes that may run at once."""

    memory_kib: int
    passes: int
    lanes: int

    def at_least(self, other: Cost) -> Cost:
        return Cost(*map(max, self, other))


DEFAULT_COST = Cost(memory_kib=64 * 1024, passes=4, lanes=4)
MOST_COST = Cost(memory_kib=4 * 1024 * 1024, passes=1000, lanes=255)  # more than this in a row is damage, not a wish


class VaultError(BfaiError):
    """The vault refuses."""


class NoVault(VaultError):
    """There is no vault yet."""

    def __init__(self) -> None:
        super().__init__(Message(text=N_("There is no vault yet. Choose a master password to make one.")))


class VaultLocked(VaultError):
    """Used after `lock()`."""

    def __init__(self) -> None:
        super().__init__(Message(text=N_("The vault is locked. Unlock it with the master password.")))


class WrongPassword(VaultError):
    """That is not the password. `seconds` is how long the next attempt will be refused, 0 if it will not."""

    def __init__(self, seconds: int = 0) -> None:
        self.seconds = seconds
        if seconds:
            text = NN_(
                "That is not the password. Next try in {count} second.",
                "That is not the password. Next try in {count} seconds.",
            )
        else:
            text = N_("That is not the password. Check Caps Lock and the keyboard's language, then try again.")
        super().__init__(Message(text=text, params={"count": seconds}))


class WrongCode(WrongPassword):
    """That is not the recovery code of this vault. `seconds` as of `WrongPassword`."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        if seconds:
            text = NN_(
                "That is not this vault's recovery code. Next try in {count} second.",
                "That is not this vault's recovery code. Next try in {count} seconds.",
            )
        else:
            text = N_("That is not this vault's recovery code. Only the newest paper holds.")
        VaultError.__init__(self, Message(text=text, params={"count": seconds}))


class NoRecoveryCode(VaultError):
    """The vault has none."""

    def __init__(self) -> None:
        super().__init__(Message(text=N_("This vault has no recovery code. Only its master password opens it.")))


class UnlockBackoff(VaultError):
    """Refused without looking at the password; `seconds` are left."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        text = NN_(
            "Too many attempts with a wrong password. Next try in {count} second.",
            "Too many attempts with a wrong password. Next try in {count} seconds.",
        )
        super().__init__(Message(text=text, params={"count": seconds}))


class WeakPassword(VaultError):
    """Too short to be a master password."""

    def __init__(self) -> None:
        text = N_("A master password has at least {minimum} characters. Four or five unrelated words are good.")
        super().__init__(Message(text=text, params={"minimum": MINIMUM_LENGTH}))


class VaultDamaged(VaultError):
    """What is stored about the vault's key cannot be right."""

    def __init__(self) -> None:
        text = N_(
            "The vault's key is damaged in the database, so no password opens it. Restore the database from a backup."
        )
        super().__init__(Message(text=text))


class VaultTooNew(VaultError):
    """Sealed by a newer version of this program."""

    def __init__(self) -> None:
        text = N_("This vault was written by a newer version of this program. Update the program to open it.")
        super().__init__(Message(text=text))


class NoMemory(VaultError):
    """The derivation did not get the memory that it needs."""

    def __init__(self, mebibytes: int) -> None:
        text = N_("Opening the vault needs {mebibytes} MiB of memory, and there is not enough. Close other programs.")
        super().__init__(Message(text=text, params={"mebibytes": mebibytes}))


class Tampered(VaultError):
    """A sealed secret was changed, or stands in another's place."""

    def __init__(self) -> None:
        text = N_(
            "The stored credentials of this connection were changed from outside, so they stay sealed."
            " Put the key in again, or restore the database from a backup."
        )
        super().__init__(Message(text=text))


class AddressTampered(VaultError):
    """A sealed address of an alert channel was changed, or stands in another's place."""

    def __init__(self) -> None:
        text = N_("The stored address of this channel was changed from outside, so it stays sealed. Put it in again.")
        super().__init__(Message(text=text))


class NotRotated(VaultError):
    """A connection or a channel does not open, so its secret cannot be sealed under another key."""

    def __init__(self, name: str) -> None:
        text = N_(
            "What is sealed for {name} was changed from outside and does not open, so the key stays as it is. Delete"
            " {name} or give it its key again, then renew the vault's key."
        )
        super().__init__(Message(text=text, params={"name": name}))


class NotThrowAway(VaultError):
    """A throw-away vault belongs to a database in memory only."""

    def __init__(self) -> None:
        text = N_("A vault without a password is only for the demo in memory. Choose a master password.")
        super().__init__(Message(text=text))


# Passwords

Hint = Literal["too_short", "common", "name", "keyboard", "repeat", "sequence", "date", "add_words", ""]
_HINTS: dict[str, Hint] = {
    "spatial": "keyboard",
    "repeat": "repeat",
    "sequence": "sequence",
    "date": "date",
    "regex": "date",
    "bruteforce": "add_words",
}
_OUR_WORDS = ["bfai", "backfuture", "workbench", "exchange"]  # the first that come to mind here
_LONGEST_ESTIMATED = 64  # the estimate's time grows with the square of the length or worse; a prefix says enough


class Strength(NamedTuple):
    """`score` from 0 (guessed at once) to 4 (very hard to guess); `hint` is the code of what to do better, or empty."""

    score: int
    hint: Hint


def strength(password: str) -> Strength:
    """Estimate how hard a master password is to guess. The first 64 characters count.

    Hints: `too_short` (refused by the vault), `common` (a well-known password or word), `name`, `keyboard`
    (neighbouring keys), `repeat`, `sequence`, `date`, `add_words` (nothing wrong with it, but not enough).
    """
    import zxcvbn

    normal = _normalised(password)
    if not normal:
        return Strength(0, "too_short")
    found = zxcvbn.zxcvbn(normal[:_LONGEST_ESTIMATED], user_inputs=_OUR_WORDS)
    score: int = found["score"]
    if len(normal) < MINIMUM_LENGTH:
        return Strength(score, "too_short")
    parts = [dict(part) for part in found["sequence"]]
    return Strength(score, "" if score >= 3 else _hint(parts))


def _hint(sequence: list[dict[str, Any]]) -> Hint:
    """About the longest part that a guesser would try as a whole. What has three parts is never weak, so never here."""
    longest = max(sequence, key=lambda part: (part["pattern"] != "bruteforce", len(part["token"])))
    if longest["pattern"] != "dictionary":
        return _HINTS[longest["pattern"]]
    return "name" if "name" in longest["dictionary_name"] else "common"


def _normalised(password: str) -> str:
    """The same for all ways in which keyboards and systems compose the same characters."""
    return unicodedata.normalize("NFKC", password)


def _refuse_weak(password: str) -> None:
    if len(_normalised(password)) < MINIMUM_LENGTH:
        raise WeakPassword()


# The format


def encode(*parts: str | bytes | int) -> bytes:
    """Parts as bytes that no other parts give: each behind its length in four bytes, big-endian.

    Text is UTF-8, a whole number four bytes, big-endian.
    """
    return b"".join(len(part).to_bytes(4) + part for part in map(_bytes, parts))


def _bytes(part: str | bytes | int) -> bytes:
    if isinstance(part, int):
        return part.to_bytes(4)
    return part if isinstance(part, bytes) else _utf8(part)


def _utf8(text: str) -> bytes:
    # An encoding error would carry the whole text, so a secret, in its message: half a surrogate pair passes instead.
    return text.encode(errors="surrogatepass")


_ONE_AT_A_TIME = threading.Lock()
"""Two derivations with several lanes at once hang in OpenSSL, or fail for want of memory that is there."""


def _derive(password: str, salt: bytes, cost: Cost) -> bytes:
    """The key that wraps. The only expensive step: 64 MiB and about 120 ms by default."""
    argon2 = Argon2id(
        salt=salt, length=_KEY_BYTES, iterations=cost.passes, lanes=cost.lanes, memory_cost=cost.memory_kib
    )
    try:
        with _ONE_AT_A_TIME:
            return argon2.derive(_utf8(_normalised(password)))
    except MemoryError:
        raise NoMemory(cost.memory_kib // 1024) from None


def _subkey(data_key: bytes | bytearray, purpose: str) -> bytearray:
    """Whoever asked for it overwrites it."""
    key = bytearray(_KEY_BYTES)
    HKDFExpand(algorithm=SHA256(), length=_KEY_BYTES, info=encode("bfai", purpose, FORMAT)).derive_into(data_key, key)
    return key


def _wipe(key: bytearray) -> None:
    key[:] = bytes(len(key))


def key_check(data_key: bytes) -> bytes:
    """Tells data keys apart and tells nothing else of them: 8 bytes, kept in clear."""
    return bytes(_subkey(data_key, "check")[:8])


def _wrap_data(vault_id: str, kind: str, salt: bytes, cost: Cost) -> bytes:
    return encode("bfai wrap", FORMAT, vault_id, kind, salt, cost.memory_kib, cost.passes, cost.lanes)


def _checksum(vault_id: str, *wrap: str | bytes | int) -> bytes:
    """Of what a wrap holds before it: public bytes only. It tells damage from a wrong password; it is no protection."""
    return hashlib.sha256(encode("bfai checksum", vault_id, *wrap)).digest()[:8]


def wrap_key(
    vault_id: str, data_key: bytes, password: str, cost: Cost, *, salt: bytes, nonce: bytes, kind: str = _BY_PASSWORD
) -> Wrap:
    """Wrap the data key under a password. `salt` (16 bytes) and `nonce` (12) must be fresh random bytes."""
    key = _derive(password, salt, cost)
    ciphertext = AESGCM(key).encrypt(nonce, data_key, _wrap_data(vault_id, kind, salt, cost))
    wrap = (kind, FORMAT, salt, cost.memory_kib, cost.passes, cost.lanes, nonce, ciphertext)
    return Wrap(*wrap, _checksum(vault_id, *wrap))


def fresh_wrap(vault_id: str, data_key: bytes, password: str, cost: Cost, kind: str = _BY_PASSWORD) -> Wrap:
    """`wrap_key` with fresh random bytes."""
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
    return wrap_key(vault_id, data_key, password, cost, salt=salt, nonce=nonce, kind=kind)


def unwrap_key(vault_id: str, wrap: Wrap, password: str, *, most: Cost = MOST_COST) -> bytes:
    """The data key. Raises `WrongPassword`, `VaultTooNew`, `VaultDamaged`; the last also for a wrap that asks for more
    than `most`. One derivation.
    """
    cost = _sound_cost(vault_id, wrap, most)
    key = _derive(password, wrap.salt, cost)
    try:
        return AESGCM(key).decrypt(wrap.nonce, wrap.ciphertext, _wrap_data(vault_id, wrap.kind, wrap.salt, cost))
    except InvalidTag:
        raise WrongPassword() from None


def file_key(root: bytes, file_id: bytes) -> bytes:
    """The key of one backup file, from a vault's data key or a key of the file's own. `file_id` is fresh random bytes,
    so that no two files have one key.
    """
    return HKDFExpand(algorithm=SHA256(), length=_KEY_BYTES, info=encode("bfai", "backup", FORMAT, file_id)).derive(
        root
    )


def _sound_cost(vault_id: str, wrap: Wrap, most: Cost) -> Cost:
    if wrap.format > FORMAT:
        raise VaultTooNew()
    cost = Cost(wrap.memory_kib, wrap.passes, wrap.lanes)
    lengths = (len(wrap.salt), len(wrap.nonce), len(wrap.ciphertext))
    sound = (
        wrap.format == FORMAT
        and lengths == (_SALT_BYTES, _NONCE_BYTES, _KEY_BYTES + _TAG_BYTES)
        and min(cost) >= 1
        and most.at_least(cost) == most
        and cost.memory_kib >= 8 * cost.lanes
        and hmac.compare_digest(wrap.checksum, _checksum(vault_id, *wrap[:-1]))
    )
    if not sound:
        raise VaultDamaged()
    return cost


# The wait after failures


def wait_after(failures: int) -> float:
    """Seconds to wait after so many failures in a row: 0, 0, 1, 2, 4 … 300."""
    if failures < FREE_FAILURES:
        return 0.0
    return min(2.0 ** min(failures - FREE_FAILURES, 16), LONGEST_WAIT_S)


def _whole(seconds: float) -> int:
    """Rounded up, so that nobody is told to come back too early."""
    return int(-(-seconds // 1))


def _wait_left(row: VaultRow, at: datetime) -> float:
    """Where the clock was set back the wait begins anew."""
    since = max(timedelta(), at - (row.failed_at or at))
    return wait_after(row.failures) - since.total_seconds()


def unlock_wait(store: Store, *, now: Callable[[], datetime] | None = None) -> int:
    """For how many seconds every attempt is refused, 0 if it is not. No attempt is counted."""
    row = store.vault()
    return 0 if row is None else max(0, _whole(_wait_left(row, (now or store.now)())))


def _count_attempt(store: Store, now: Callable[[], datetime]) -> VaultRow:
    """Count an attempt before it is made: attempts at the same time, and killed ones, are counted too.

    Raises `NoVault`, `UnlockBackoff`. Gives the row as it was.

    All who share a store must go by one clock, `Store.now`: by clocks of their own, one that is behind would begin the
    wait anew at a time at which it is over for one that is ahead. So an end that seems too far away means one thing
    only: that this one clock was set back.
    """
    while True:
        row = store.vault()
        if row is None:
            raise NoVault()
        at = now()  # only now: what others wrote meanwhile would look like a clock that was set back
        if row.failed_at is not None and row.failed_at > at:
            # The clock was set back. Start the wait anew, or it would last until the clock catches up.
            store.set_unlock_failures(row.failures, row.failures, at)
        left = _wait_left(row, at)
        if left > 0:
            raise UnlockBackoff(_whole(left))
        if store.set_unlock_failures(row.failures, row.failures + 1, at):
            return row


def _unwrap_counted(
    store: Store, password: str, now: Callable[[], datetime] | None, kind: str = _BY_PASSWORD
) -> tuple[VaultRow, bytes]:
    now = now or store.now
    row = _count_attempt(store, now)
    wrap = row.wraps.get(kind)
    try:
        if row.format > FORMAT:
            raise VaultTooNew()
        if wrap is None:
            raise VaultDamaged() if kind == _BY_PASSWORD else NoRecoveryCode()
        data_key = unwrap_key(row.id, wrap, password)
        check = key_check(data_key)
        if row.key_check not in (None, check):
            raise VaultDamaged()
    except WrongPassword:
        store.unlock_failed(now())
        refusal = WrongPassword if kind == _BY_PASSWORD else WrongCode
        raise refusal(_whole(wait_after(row.failures + 1))) from None
    except VaultError:
        store.set_unlock_failures(row.failures + 1, row.failures, row.failed_at or now())  # no password was tried
        raise
    store.unlock_succeeded(check)
    return row, data_key


def revoke_recovery_code(store: Store) -> None:
    """The recovery code opens nothing from then on. Raises `NoRecoveryCode`. Audited as `recovery_code_revoked`."""
    row = store.vault()
    if row is None or _BY_CODE not in row.wraps:
        raise NoRecoveryCode()
    store.remove_wrap(_BY_CODE, action="recovery_code_revoked")


def has_recovery_code(store: Store) -> bool:
    row = store.vault()
    return row is not None and _BY_CODE in row.wraps


class Rotated(NamedTuple):
    """A vault under its new data key, how much was sealed anew, and which kinds of wrap are dead."""

    vault: Vault
    connections: int
    channels: int
    dead: tuple[str, ...]


class Vault:
    """An open vault: it holds the data key until `lock()`. Shows nothing, is never pickled or copied.

    Safe to use from several threads.
    """

    __slots__ = ("_fingerprint_key", "_key", "_sealing", "id", "key_check")

    def __init__(self, vault_id: str, data_key: bytes) -> None:
        """Prefer `create`, `unlock` or `throw_away`. `data_key` is 32 random bytes."""
        self.id = vault_id
        self.key_check = key_check(data_key)
        self._key: bytearray | None = bytearray(data_key)
        seal = _subkey(data_key, "seal")
        self._sealing: AESGCM | None = AESGCM(seal)
        _wipe(seal)
        self._fingerprint_key: bytearray | None = _subkey(data_key, "fingerprint")

    def __repr__(self) -> str:
        return "Vault(…)"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a vault is never pickled or copied")

    @classmethod
    def create(cls, store: Store, password: str, *, cost: Cost | None = None) -> Vault:
        """Make the vault of the store's owner. Raises `WeakPassword`, `VaultExists`. There is no default password."""
        _refuse_weak(password)
        vault_id, data_key = os.urandom(16).hex(), os.urandom(_KEY_BYTES)
        wrap = fresh_wrap(vault_id, data_key, password, cost or DEFAULT_COST)
        store.create_vault(VaultRow(vault_id, FORMAT, utc_now(), 0, None, {wrap.kind: wrap}, key_check(data_key)))
        return cls(vault_id, data_key)

    @classmethod
    def unlock(
        cls, store: Store, password: str, *, now: Callable[[], datetime] | None = None, cost: Cost | None = None
    ) -> Vault:
        """Open the vault of the store's owner.

        Raises `WrongPassword`, `UnlockBackoff`, `NoVault`, `VaultDamaged`, `VaultTooNew`. One derivation; a second one
        only when the vault was made with a lower cost than `cost` (by default `DEFAULT_COST`), which is then raised.
        """
        row, data_key = _unwrap_counted(store, password, now)
        wrap = row.wraps[_BY_PASSWORD]
        had = Cost(wrap.memory_kib, wrap.passes, wrap.lanes)
        wanted = had.at_least(cost or DEFAULT_COST)
        if wanted != had:
            dearer = fresh_wrap(row.id, data_key, password, wanted)
            store.replace_wrap(dearer, action="cost_raised", key_check=key_check(data_key))
        return cls(row.id, data_key)

    @classmethod
    def recover(
        cls,
        store: Store,
        code: str,
        new: str,
        *,
        now: Callable[[], datetime] | None = None,
        cost: Cost | None = None,
    ) -> Vault:
        """Open the vault with its recovery code, as it was typed, and wrap the data key under a new password.

        Raises `BadCode` where the letters cannot be right, `WeakPassword`, `NoRecoveryCode`, `WrongCode`, and what else
        `unlock` raises: guesses are counted with those at the password. The code stays good. Audited as `recovered`.
        """
        code = read_code(code)
        _refuse_weak(new)
        row, data_key = _unwrap_counted(store, code, now, _BY_CODE)
        wrap = fresh_wrap(row.id, data_key, new, cost or DEFAULT_COST)
        store.replace_wrap(wrap, action="recovered", key_check=key_check(data_key))
        return cls(row.id, data_key)

    @classmethod
    def throw_away(cls, store: Store) -> Vault:
        """A vault without a password that ends with the program. Raises `NotThrowAway` for a store that is kept."""
        if not store.ephemeral:
            raise NotThrowAway()
        vault_id, data_key = os.urandom(16).hex(), os.urandom(_KEY_BYTES)
        store.create_vault(VaultRow(vault_id, FORMAT, utc_now(), 0, None, {}, key_check(data_key)))
        return cls(vault_id, data_key)

    @property
    def locked(self) -> bool:
        return self._sealing is None

    def seal(self, connection_id: str, credentials: Credentials) -> dict[str, Sealed]:
        """Each field sealed for this connection. Raises `VaultLocked`."""
        sealing = self._open_sealing()
        sealed: dict[str, Sealed] = {}
        for field, value in credentials.fields().items():
            nonce = os.urandom(_NONCE_BYTES)
            data = self._associated(connection_id, field)
            sealed[field] = Sealed(FORMAT, nonce, sealing.encrypt(nonce, _utf8(value), data))
        return sealed

    def open(self, connection_id: str, sealed: Mapping[str, Sealed]) -> Credentials:
        """The credentials of this connection. Raises `Tampered`, `VaultTooNew`, `VaultLocked`."""
        sealing = self._open_sealing()
        if set(sealed) not in ({"api_key", "secret"}, {"api_key", "secret", "passphrase"}):
            raise Tampered()
        values = {
            field: self._open_one(sealing, secret, self._associated(connection_id, field))
            for field, secret in sealed.items()
        }
        return Credentials.from_fields(values)

    def seal_address(self, channel_id: str, address: str) -> Sealed:
        """An alert channel's address, sealed for this channel. Raises `VaultLocked`."""
        nonce, data = os.urandom(_NONCE_BYTES), self._associated_channel(channel_id)
        return Sealed(FORMAT, nonce, self._open_sealing().encrypt(nonce, _utf8(address), data))

    def open_address(self, channel_id: str, sealed: Sealed) -> str:
        """The address of this channel. Raises `AddressTampered`, `VaultTooNew`, `VaultLocked`."""
        try:
            return self._open_one(self._open_sealing(), sealed, self._associated_channel(channel_id))
        except Tampered:
            raise AddressTampered() from None

    def _open_one(self, sealing: AESGCM, secret: Sealed, associated: bytes) -> str:
        if secret.format > FORMAT:
            raise VaultTooNew()
        if secret.format != FORMAT or len(secret.nonce) != _NONCE_BYTES:
            raise Tampered()
        try:
            plain = sealing.decrypt(secret.nonce, secret.ciphertext, associated)
        except InvalidTag:
            raise Tampered() from None
        return plain.decode(errors="surrogatepass")

    def _associated(self, connection_id: str, field: str) -> bytes:
        return encode("bfai secret", self.id, connection_id, field, FORMAT)

    def _associated_channel(self, channel_id: str) -> bytes:
        return encode("bfai channel", self.id, channel_id, "address", FORMAT)

    def fingerprint(self, exchange: str, api_key: str) -> bytes:
        """32 bytes, equal for equal keys of one exchange in this vault, and of no use without the vault's key."""
        key = self._fingerprint_key
        if key is None:
            raise VaultLocked()
        found = hmac.digest(bytes(key), encode(exchange, api_key), hashlib.sha256)
        self._not_locked_meanwhile()
        return found

    def pairing_code(self, connection_id: str, key: bytes, salt: bytes) -> bytes:
        """16 bytes that nobody can tell without this vault: a one-time code for one connection and one key.

        `key` is the key's fingerprint, `salt` fresh random bytes, which may be kept in clear. Raises `VaultLocked`.
        """
        data_key = self._key
        if data_key is None:
            raise VaultLocked()
        pairing = _subkey(data_key, "pairing")
        code = hmac.digest(bytes(pairing), encode(self.id, connection_id, key, salt), hashlib.sha256)
        _wipe(pairing)
        self._not_locked_meanwhile()
        return code[:16]

    def change_password(
        self, store: Store, old: str, new: str, *, now: Callable[[], datetime] | None = None, cost: Cost | None = None
    ) -> None:
        """Wrap the data key under a new password. One row changes; the connections stay as they are.

        Raises `WeakPassword`, and what `unlock` raises: guesses at the old password are counted alike.
        """
        self._open_sealing()
        _refuse_weak(new)
        self.check_password(store, old, now=now)
        wrap = fresh_wrap(self.id, self._data_key(), new, cost or DEFAULT_COST)
        store.replace_wrap(wrap, action="password_changed", key_check=self.key_check)

    def check_password(self, store: Store, password: str, *, now: Callable[[], datetime] | None = None) -> None:
        """Whether this is the vault's password: returns, or raises what `unlock` raises. Guesses are counted alike."""
        row, data_key = _unwrap_counted(store, password, now)
        if row.id != self.id or not hmac.compare_digest(data_key, self._data_key()):
            raise VaultDamaged()

    def set_recovery_code(self, store: Store, code: str, *, cost: Cost | None = None) -> None:
        """Wrap the data key under a recovery code as well; an earlier code opens nothing from then on.

        Raises `BadCode`, `VaultLocked`. Audited as `recovery_code_made`.
        """
        wrap = fresh_wrap(self.id, self._data_key(), read_code(code), cost or DEFAULT_COST, _BY_CODE)
        store.replace_wrap(wrap, action="recovery_code_made", key_check=self.key_check)

    def backup_key(self, file_id: bytes) -> bytes:
        """The key of a backup file that opens with what opens the vault. Raises `VaultLocked`."""
        return file_key(self._data_key(), file_id)

    def _data_key(self) -> bytes:
        key = self._key
        if key is None:
            raise VaultLocked()
        copy = bytes(key)
        self._not_locked_meanwhile()
        return copy

    def rotate(
        self, store: Store, password: str, *, now: Callable[[], datetime] | None = None, cost: Cost | None = None
    ) -> Rotated:
        """Make a new data key and seal everything anew under it, in one transaction: all of it, or nothing.

        The new vault has the same id and password. Whatever else opened the old one is dead: other wraps, and every
        other vault that is open. Raises what `unlock` raises (guesses are counted alike), `NotRotated`, `KeyReplaced`
        and `VaultLocked`. This vault stays open under the old key; lock it.
        """
        self._open_sealing()
        row, data_key = _unwrap_counted(store, password, now)
        if row.id != self.id or not hmac.compare_digest(key_check(data_key), self.key_check):
            raise VaultDamaged()
        fresh_key = os.urandom(_KEY_BYTES)
        fresh, wrap = Vault(row.id, fresh_key), fresh_wrap(row.id, fresh_key, password, cost or DEFAULT_COST)
        with store.together():
            connections = {one.id: self._resealed(store, one, fresh) for one in store.connections()}
            addresses = {one.id: self._readdressed(store, one, fresh) for one in store.channels()}
            dead = store.replace_key(wrap, fresh.key_check, connections, addresses, was=self.key_check)
        return Rotated(fresh, len(connections), len(addresses), tuple(dead))

    def _resealed(self, store: Store, connection: Connection, fresh: Vault) -> Resealed:
        try:
            credentials = self.open(connection.id, store.sealed(connection.id))
        except Tampered:
            raise NotRotated(connection.name) from None
        fingerprint = fresh.fingerprint(connection.target.exchange, credentials.api_key)
        return Resealed(fresh.seal(connection.id, credentials), fingerprint)

    def _readdressed(self, store: Store, channel: Channel, fresh: Vault) -> Sealed:
        try:
            return fresh.seal_address(channel.id, self.open_address(channel.id, store.channel_address(channel.id)))
        except AddressTampered:
            raise NotRotated(channel.name) from None

    def lock(self) -> None:
        """Forget the key. Every later use raises `VaultLocked`; locking twice is fine."""
        keys = (self._key, self._fingerprint_key)
        self._key, self._sealing, self._fingerprint_key = None, None, None
        for key in keys:
            if key is not None:
                _wipe(key)

    def _not_locked_meanwhile(self) -> None:
        """To be asked after a key was used: another thread's `lock` lets go of all of them, then makes them zeros."""
        self._open_sealing()

    def _open_sealing(self) -> AESGCM:
        sealing = self._sealing
        if sealing is None:
            raise VaultLocked()
        return sealing
