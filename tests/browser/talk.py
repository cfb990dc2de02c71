"""What the page and the app say to each other: whether the app has answered the last click."""

from __future__ import annotations

import time
from weakref import WeakKeyDictionary

from playwright.sync_api import Page, WebSocket, expect
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

WAIT_SECONDS = 15.0


class _Talk:
    """`asked` is the kind of run that the page waits for: what stands on the screen does not tell it, as the page
    shows that it waits only after the app has begun to answer.
    """

    def __init__(self, page: Page) -> None:
        self.asked: str | None = None
        page.on("domcontentloaded", self._loaded)
        page.on("websocket", self._joined)

    def _loaded(self, page: Page) -> None:
        self.asked = "page"

    def _joined(self, socket: WebSocket) -> None:
        socket.on("framesent", self._sent)
        socket.on("framereceived", self._received)

    def _sent(self, frame: str | bytes) -> None:
        if isinstance(frame, bytes):
            message = BackMsg.FromString(frame)
            if message.WhichOneof("type") == "rerun_script" and not message.rerun_script.is_auto_rerun:
                self.asked = "fragment" if message.rerun_script.fragment_id else "page"

    def _received(self, frame: str | bytes) -> None:
        if isinstance(frame, bytes):
            message = ForwardMsg.FromString(frame)
            if message.WhichOneof("type") == "script_finished":
                done = message.script_finished
                if done == ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY and self.asked == "page":
                    return
                if done != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                    self.asked = None


_talks: WeakKeyDictionary[Page, _Talk] = WeakKeyDictionary()


def listen(page: Page) -> None:
    """From before the page is loaded."""
    _talks[page] = _Talk(page)


def settled(page: Page, seconds: float = WAIT_SECONDS) -> None:
    """The app has drawn what the last click asked for."""
    talk, deadline = _talks.get(page), time.monotonic() + seconds
    while talk is not None and talk.asked and time.monotonic() < deadline:
        page.wait_for_timeout(10)  # what was said meanwhile comes in only while something is waited for
    assert talk is None or not talk.asked, "the app did not answer"
    app = page.get_by_test_id("stApp")
    expect(app).to_have_attribute("data-test-script-state", "notRunning", timeout=seconds * 1000)
