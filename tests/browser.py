"""A headless Chromium, spoken to by its own protocol over two pipes: what a page looks like, says and fetches."""

import base64
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 60
# puts the pipes where Chromium looks for them: it reads from 3 and writes to 4
_LAUNCHER = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)


class Browser:
    """One page of a browser. `said` has what its console was told: errors, warnings, what a policy refused."""

    def __init__(self, sending: int, receiving: int) -> None:
        self._sending, self._receiving = sending, receiving
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self._loaded = False
        self.said: list[str] = []
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.command(f"{domain}.enable")

    def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and give its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._sending, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer)
                return answer["result"]

    def show(self, address: str, *, width: int, height: int, phone: bool = False, dark: bool = False) -> None:
        """Open an address in a window of a size, in light or dark, and wait until it is there."""
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone
        )
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.command("Emulation.setEmulatedMedia", features=features)
        self._going(lambda: self.command("Page.navigate", url=address))

    def open(self, address: str) -> None:
        """Open an address, also one that differs from the one before in its fragment alone."""
        for one in ("about:blank", address):
            self._going(lambda one=one: self.command("Page.navigate", url=one))

    def wait_for(self, expression: str) -> None:
        """Wait until an expression is true."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.evaluate(expression):
            assert time.monotonic() < deadline, f"{expression}: {self.evaluate('document.body.innerText')}"
            time.sleep(0.05)

    def press(self, script: str) -> None:
        """Run a script that leads to another page, and wait until that is there."""
        self._going(lambda: self.evaluate(script))

    def evaluate(self, expression: str) -> Any:
        """Give the value of an expression in the page."""
        result = self.command("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def shoot(self, file: Path) -> None:
        """Write what the window shows as a PNG."""
        file.write_bytes(base64.b64decode(self.command("Page.captureScreenshot")["data"]))

    def _going(self, go: Any) -> None:
        self._loaded = False
        go()
        while not self._loaded:
            self._next()

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while b"\0" not in self._buffer:
            assert time.monotonic() < deadline, "the browser says nothing"
            self._buffer += os.read(self._receiving, 1 << 20) or self._ended()
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, method: str, parameters: dict[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Log.entryAdded":
            entry = parameters["entry"]
            self.said.append(f"{entry['level']}: {entry['text']} {entry.get('url', '')}")
        elif method in {"Runtime.exceptionThrown", "Runtime.consoleAPICalled"}:
            self.said.append(json.dumps(parameters))
        elif method == "Network.loadingFailed" and not parameters.get("canceled"):
            self.said.append(f"not loaded: {parameters['errorText']}")

    def _ended(self) -> bytes:
        raise AssertionError("the browser has ended")


@contextmanager
def browser(program: str, folder: Path) -> Iterator[Browser]:
    """Start a browser with an empty profile in `folder`; it ends with the block."""
    commands, answers = os.pipe(), os.pipe()
    # far away from 3 and 4
    for_it = [fcntl.fcntl(one, fcntl.F_DUPFD, 20) for one in (commands[0], answers[1])]
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe")
    command = [sys.executable, "-c", _LAUNCHER, *map(str, for_it), program, *options, f"--user-data-dir={folder}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, pass_fds=for_it, stdout=log, stderr=log)
    for one in (*for_it, commands[0], answers[1]):
        os.close(one)
    try:
        yield Browser(commands[1], answers[0])
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
        os.close(commands[1])
        os.close(answers[0])
