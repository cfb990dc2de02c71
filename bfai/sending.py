"""Over the network to somebody's telephone: addresses, and one message sent through Apprise.

Knows nothing of what is told to whom (`bfai.alerts`). An address holds a token or a password, so no text that leaves
here shows more of it than `Address.hint`.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from bfai.i18n import N_
from bfai.model import BfaiError, Message
from bfai.transport import redact

SEND_SECONDS: Final = 10.0
"""How long one message may take before it counts as not sent."""
LONGEST_ADDRESS: Final = 2000


class BadAddress(BfaiError):
    """An address that cannot be sent to, or may not be."""


class Note(NamedTuple):
    """A message as it is sent. `mood` is one of Apprise's: info, success, warning, failure. `key` is the same each time
    that this message is sent, and no other's.
    """

    title: str
    body: str
    mood: str = "info"
    key: str = ""


class Outcome(NamedTuple):
    """`problem` says why it was not sent, None where it was. `uncertain`: it may have arrived all the same."""

    problem: Message | None = None
    uncertain: bool = False


Send = Callable[[str, Note], Outcome]
"""Sends a note to an address. Takes at most about `SEND_SECONDS` and never raises for what the other side does."""


def clean(text: str, address: str) -> str:
    """Without anything that looks like a key, and without the parts of the address that nobody may see."""
    scheme, _, rest = address.partition("://")
    before, at, after = rest.rpartition("@")
    if scheme.lower() in _WITH_HOST:
        after = after.partition("/")[2]
    parts = re.split(r"[/:@?&=#,]+", f"{before}{at}{after}")
    return redact(text, {part for part in parts if len(part) >= 4})


# -- addresses ---------------------------------------------------------------------------------------------------------


class Address(NamedTuple):
    """An address that can be sent to. `hint` is what may be shown of it."""

    url: str
    hint: str


_WITH_HOST = """
    json jsons form forms xml xmls mailto mailtos ntfy ntfys gotify gotifys matrix matrixs mmost mmosts rocket rockets
    signal signals bark barks nctalk nctalks synology synologys hassio hassios
""".split()
_WITH_TOKEN = """
    tgram discord slack workflow workflows gchat pover pbul prowl zulip threema spush pagerduty opsgenie wxteams webex
""".split()
_WITH_HEADERS: Final = frozenset("json jsons form forms xml xmls".split())
"""To a program of the reader's own, which can tell a repetition by a header."""
SCHEMES: Final = tuple(sorted((*_WITH_HOST, *_WITH_TOKEN)))
"""Ways to send over a network. Apprise knows more: some run programs, open files or draw on this computer's desktop."""
SERVICES: Final = tuple("discord gchat opsgenie pagerduty pbul pover prowl slack spush tgram threema webex".split())
"""Those that are one service at one address, whatever else an address of them says."""
_OPENS_FILES = frozenset("template pgp pgppub pgpprv pgpkey pgpprvkey wkd attach attachment keyfile pem config".split())
_PARAMETER = re.compile(r"[?&;][\s+:-]*(\w+)\s*=")


def read_address(text: str) -> Address:
    """An Apprise address, a plain web address (JSON is posted there) or one that a service shows, such as Discord's.

    Raises BadAddress that says in one sentence what is wrong. Sends nothing.
    """
    url = text.strip()
    if not url:
        raise BadAddress(Message(text=N_("Put in an address, such as ntfy://my-topic.")))
    if len(url) > LONGEST_ADDRESS or re.search(r"[\s\x00-\x1f\x7f]", url):
        raise BadAddress(Message(text=N_("An address has no blanks and at most 2000 characters. Put in one address.")))
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator and re.fullmatch(r"[^@/:]{1,64}@[^@/:]+\.[^@/:]+", url):  # with a colon it may hold a password
        text = N_("A mail address needs the login of its mail server: mailtos://user:password@example.com?to={mail}")
        raise BadAddress(Message(text=text, params={"mail": url}))
    if not separator or not rest:
        raise BadAddress(Message(text=N_("An address begins with the way to send, such as ntfy:// or mailtos://.")))
    opening = next((name for name in _PARAMETER.findall(unquote(url)) if name.lower() in _OPENS_FILES), None)
    if opening is not None:
        text = N_("“{name}” in an address would open a file, which is not allowed here. Take it out.")
        raise BadAddress(Message(text=text, params={"name": opening[:40]}))
    if scheme in ("http", "https"):
        native = _plugin(url) if scheme == "https" else None
        scheme = _scheme(native) if native is not None else {"http": "json", "https": "jsons"}[scheme]
        url = url if native is not None else f"{scheme}://{rest}"
    if scheme not in SCHEMES:
        text = N_("{scheme}:// is not among the ways to send that are allowed here: {schemes}.")
        raise BadAddress(Message(text=text, params={"scheme": scheme[:15], "schemes": ", ".join(SCHEMES)}))
    plugin = _plugin(url)
    if plugin is None:
        text = N_("This is no whole {scheme}:// address: a part is missing or malformed. The examples show the form.")
        raise BadAddress(Message(text=text, params={"scheme": scheme}))
    return Address(url, _hint(scheme, url))


def is_service(url: str) -> bool:
    """Whether it leads to a service that everybody knows, and never to a host that its writer chose."""
    plugin = _plugin(url)
    if plugin is None:
        return False
    scheme = _scheme(plugin)
    return scheme in (*SERVICES, "wxteams") or (scheme in ("ntfy", "ntfys") and getattr(plugin, "mode", "") == "cloud")


def _hint(scheme: str, url: str) -> str:
    """Way and host; where a token stands in the host's place, its last four characters."""
    rest = url.partition("://")[2].partition("?")[0]
    alone = scheme in ("ntfy", "ntfys") and "/" not in rest.strip("/")  # then it is the topic, which is a secret
    if scheme in _WITH_HOST and not alone:
        with suppress(ValueError):
            host = urlsplit(f"//{rest.partition('/')[0]}").hostname
            if host and "%" not in host:  # else it is no host
                return f"{scheme}://{host}"
    rest = rest.rstrip("/")
    return f"{scheme}://…{rest[-4:]}" if len(rest) >= 12 else f"{scheme}://…"


# -- Apprise -----------------------------------------------------------------------------------------------------------

_STATUS_CODE = re.compile(r"error=(\d{3})\b")
_NEVER_ARRIVED = re.compile(
    "refused|NameResolution|Name or service not known|getaddrinfo|ConnectTimeout|No route to host|unreachable|SSLError"
)
_NO_ANSWER = N_("There was no answer within {seconds} seconds.")
_sending = threading.local()


class _Silent(logging.Filter):
    """Drops what urllib3 logs while a message is sent: its lines hold the address's path, and so its token."""

    def filter(self, record: logging.LogRecord) -> bool:
        del record
        return not getattr(_sending, "now", False)


@cache
def _apprise() -> Any:
    """The library, made quiet. Imported when it is first needed: that takes a tenth of a second."""
    # Its lines are read from its results, all of them; elsewhere they would show addresses.
    its_own = logging.getLogger("apprise")
    its_own.propagate = False
    its_own.setLevel(logging.DEBUG)
    import apprise

    for name in ("urllib3.connectionpool", "requests", "requests_oauthlib"):
        logging.getLogger(name).addFilter(_Silent())
    return apprise


@cache
def _asset() -> Any:
    return _apprise().AppriseAsset(
        app_id="BackFuture",
        app_desc="BackFuture AI Workbench",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        storage_mode="memory",
        async_mode=False,
        http_redirects=False,
        service_timeout=0,
        language="en",
    )


def _plugin(url: str) -> Any:
    """Apprise's own object for the address, or None where it cannot read it."""
    try:
        return _apprise().Apprise.instantiate(url, asset=_asset(), suppress_exceptions=False)
    except Exception:
        return None


def _scheme(plugin: Any) -> str:
    return str(plugin.url(privacy=True)).partition("://")[0]


def load(address: str) -> None:
    """What sending there needs, so that it is quick afterwards. The first time takes half a second."""
    _plugin(address)


def send_by_apprise(address: str, note: Note) -> Outcome:
    """Sends a note over the network, in a thread of its own, and waits for at most `SEND_SECONDS`."""
    found: list[Outcome] = []
    thread = threading.Thread(target=lambda: found.append(_send_now(address, note)), name="bfai-send", daemon=True)
    thread.start()
    thread.join(SEND_SECONDS)
    if found:
        return found[0]
    return Outcome(Message(text=_NO_ANSWER, params={"seconds": int(SEND_SECONDS)}), uncertain=True)


def _send_now(address: str, note: Note) -> Outcome:
    _sending.now = True
    apprise, began = _apprise(), time.monotonic()
    plugin = _plugin(address)
    if plugin is None or _scheme(plugin) not in SCHEMES:
        return Outcome(Message(text=N_("The address cannot be read. Put it in again.")))
    if note.key and _scheme(plugin) in _WITH_HEADERS:
        plugin.headers["Idempotency-Key"] = note.key
    plugin.socket_connect_timeout, plugin.socket_read_timeout, plugin.retry = SEND_SECONDS / 2, SEND_SECONDS - 1, 0
    box = apprise.Apprise(asset=_asset())
    box.add(plugin)
    try:
        result = box.notify(
            body=note.body,
            title=note.title,
            notify_type=note.mood,
            body_format=apprise.NotifyFormat.TEXT,
            log_level=logging.DEBUG,
        )
    except Exception as error:
        text = N_("Sending broke off: {kind}.")
        return Outcome(Message(text=text, params={"kind": type(error).__name__}), uncertain=True)
    if result:
        return Outcome()
    entries = list(result.logs())
    said = " ".join(str(entry.message) for entry in entries if entry.level in ("WARNING", "ERROR"))
    code = _STATUS_CODE.search(said)
    if code is not None:
        text = N_("The other side answered with HTTP {status}.")
        return Outcome(Message(text=text, params={"status": int(code[1])}))
    seconds = time.monotonic() - began
    if seconds >= SEND_SECONDS - 1.5:
        return Outcome(Message(text=_NO_ANSWER, params={"seconds": round(seconds)}), uncertain=True)
    if "onnection error" in said or not said:
        # What Apprise says only at DEBUG, where it shows addresses too, tells whether anything can have arrived.
        never = _NEVER_ARRIVED.search(" ".join(str(entry.message) for entry in entries))
        text = N_("The other side could not be reached. Check the address and the network.")
        return Outcome(Message(text=text), uncertain=never is None)
    return Outcome(Message(text=N_("The other side did not take it: {words}"), params={"words": said[:300]}))
