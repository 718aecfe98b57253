"""A headless Chromium that tests drive through the DevTools protocol over a pipe, with the standard library alone.

The protocol is that of https://chromedevtools.github.io/devtools-protocol/: JSON messages that end with a NUL byte.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import time
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # tests run as root in containers
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
NAMES = ("chromium", "chromium-browser", "google-chrome")
TIMEOUT_S = 60.0


class BrowserError(Exception):
    """The browser ended, refused a command, or the page's script threw."""


class Chromium:
    """One browser with one page at a time.

    Attributes:
        problems: messages of the console, exceptions and violations of the content security policy, since `goto`.
        requests: the addresses that the page asked for, since `goto`, without the page itself and ``data:``.
    """

    def __init__(self, folder: Path) -> None:
        """Starts the browser with a profile in ``folder``, which is empty.

        Raises:
            BrowserError: there is no Chromium on this machine.
        """
        program = next((found for name in NAMES if (found := shutil.which(name))), None)
        if program is None:
            raise BrowserError(f"none of {', '.join(NAMES)} is installed: apt-get install chromium")
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        theirs = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs_in, theirs_out)]
        quiet = (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)
        moved = [(os.POSIX_SPAWN_DUP2, end, place) for end, place in zip(theirs, (3, 4), strict=True)]
        arguments = [program, *FLAGS, f"--user-data-dir={folder}", "about:blank"]
        self._pid = os.posix_spawn(program, arguments, os.environ, file_actions=[quiet, *moved], setpgroup=0)
        for end in (theirs_in, theirs_out, *theirs):
            os.close(end)
        self._buffer = b""
        self._last = 0
        self._session = ""
        self._target = ""
        self._events: list[dict[str, Any]] = []
        self.problems: list[str] = []
        self.requests: list[str] = []

    def __enter__(self) -> Chromium:
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._in)
        os.close(self._out)

    def goto(
        self, address: str, *, script: bool = True, width: int = 1240, height: int = 900, dark: bool = False
    ) -> None:
        """Opens a new page and waits until it has loaded."""
        if self._session:
            self._session = ""
            self.send("Target.closeTarget", targetId=self._target)  # a hidden page refuses Page.close
        target = self._target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Performance"):
            self.send(f"{domain}.enable")
        self.send("Emulation.setScriptExecutionDisabled", value=not script)
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self.problems, self.requests = [], []
        self.load(address)

    def load(self, address: str) -> None:
        """Opens an address in the same page."""
        self._events = []
        self.send("Page.navigate", url=address)
        self.wait_for("Page.loadEventFired")

    def hide(self) -> str:
        """Puts another page before this one, and returns its name for `show`."""
        other = self.send("Target.createTarget", url="about:blank", background=False)["targetId"]
        self.send("Target.activateTarget", targetId=other)
        return str(other)

    def show(self, other: str) -> None:
        """Closes the page that `hide` put before this one."""
        self.send("Target.closeTarget", targetId=other)

    def pass_time(self, seconds: float) -> bool:
        """Lets the page's timers run as if ``seconds`` passed, and returns whether the page began to load anew."""
        self._events = []
        self.send("Emulation.setVirtualTimePolicy", policy="advance", budget=1000 * seconds)
        self.wait_for("Emulation.virtualTimeBudgetExpired")
        return any(event["method"] == "Page.frameStartedNavigating" for event in self._events)

    def cost_ms(self) -> float:
        """Processor time of the page's process so far, in ms; its clock has steps of 10 ms."""
        told = {entry["name"]: entry["value"] for entry in self.send("Performance.getMetrics")["metrics"]}
        return 1000 * float(told["ProcessTime"])

    def run(self, expression: str) -> Any:
        """The value of a JavaScript expression, a promise included.

        Raises:
            BrowserError: the expression throws.
        """
        told = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in told:
            details = told["exceptionDetails"]
            raise BrowserError(details.get("exception", {}).get("description", details["text"]))
        return told["result"].get("value")

    def settle(self) -> None:
        """Waits until two frames are drawn."""
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def mouse(self, kind: str, x: float, y: float) -> None:
        """``move``, ``down`` or ``up`` of the left button at a point of the window, in pixels."""
        named = {"move": "mouseMoved", "down": "mousePressed", "up": "mouseReleased"}[kind]
        button = {} if kind == "move" else {"button": "left", "clickCount": 1}
        self.send("Input.dispatchMouseEvent", type=named, x=x, y=y, **button)

    def click(self, x: float, y: float) -> None:
        """A click of the left button."""
        self.mouse("move", x, y)
        self.mouse("down", x, y)
        self.mouse("up", x, y)

    def key(self, name: str, *, shift: bool = False) -> None:
        """One key, by its name in the DOM: ``Tab``, ``Enter``, ``ArrowDown``, ``a``."""
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, "End": 35, "Home": 36, "ArrowUp": 38, "ArrowDown": 40}
        text = {"Enter": "\r"}.get(name, name if len(name) == 1 else "")
        common = {
            "key": name,
            "code": name,
            "windowsVirtualKeyCode": codes.get(name, ord(name[0])),
            "modifiers": 8 if shift else 0,
        }
        self.send("Input.dispatchKeyEvent", type="keyDown", **common, **({"text": text} if text else {}))
        self.send("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text: str) -> None:
        """Text, as if it were typed into the element that has the focus."""
        self.send("Input.insertText", text=text)

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """Writes a picture of the page as PNG."""
        told = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(told["data"]))

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to one command.

        Raises:
            BrowserError: the browser refuses it, or has ended.
        """
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": parameters}
        if self._session and not method.startswith("Target."):
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            told = self._receive()
            if told.get("id") == self._last:
                if "error" in told:
                    raise BrowserError(f"{method}: {told['error']['message']}")
                return dict(told["result"])

    def wait_for(self, event: str) -> dict[str, Any]:
        """Waits for an event that came since `load`, and forgets it."""
        while True:
            for told in self._events:
                if told["method"] == event:
                    self._events.remove(told)
                    return dict(told["params"])
            self._receive()

    def _receive(self) -> dict[str, Any]:
        until = time.monotonic() + TIMEOUT_S
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], max(0.0, until - time.monotonic()))
            content = os.read(self._in, 1 << 20) if ready else b""
            if not content:
                raise BrowserError("the browser has ended" if ready else f"no answer in {TIMEOUT_S:.0f} s")
            self._buffer += content
        text, _, self._buffer = self._buffer.partition(b"\0")
        told: dict[str, Any] = json.loads(text)
        if "method" in told:
            self._events.append(told)
            self._note(told["method"], told["params"])
        return told

    def _note(self, method: str, parameters: dict[str, Any]) -> None:
        match method:
            case "Runtime.exceptionThrown":
                details = parameters["exceptionDetails"]
                self.problems.append(details.get("exception", {}).get("description", details["text"]))
            case "Runtime.consoleAPICalled":
                self.problems.append(f"{parameters['type']}: {parameters['args']}")
            case "Log.entryAdded":
                self.problems.append(parameters["entry"]["text"])
            case "Network.requestWillBeSent":
                address = parameters["request"]["url"]
                is_page = parameters["type"] == "Document" and address.startswith("file:")
                if not is_page and not address.startswith("data:"):
                    self.requests.append(address)
