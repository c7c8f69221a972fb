"""A headless Chromium, driven over its own protocol through a pipe: nothing but Python and the browser is needed.

https://chromedevtools.github.io/devtools-protocol/ describes the commands and events.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time


def find():
    """The path of an installed Chromium; None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Failure(Exception):
    pass


class Browser:
    """One browser process with a profile of its own, ended and removed by close()."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="cloudwright-browser-")
        to_browser, self.write_end = os.pipe()
        self.read_end, from_browser = os.pipe()
        command = [
            find(), "--headless=new", "--remote-debugging-pipe", "--no-first-run", "--no-sandbox",
            "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--no-default-browser-check", "--mute-audio",
            "--hide-scrollbars", "--lang=en-GB", f"--user-data-dir={self.profile}", "about:blank",
        ]
        # Chromium reads commands from descriptor 3 and writes to descriptor 4.
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{to_browser} 4>&{from_browser}', "bash", *command],
            pass_fds=(to_browser, from_browser), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        self.buffer = b""
        self.answers = {}
        self.listeners = []
        self.number = 0

    def close(self):
        try:
            self.send("Browser.close")
            self.process.wait(10)
        except (Failure, OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        os.close(self.write_end)
        os.close(self.read_end)
        shutil.rmtree(self.profile, ignore_errors=True)

    def send(self, method, session=None, limit=30, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.write_end, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + limit
        while self.number not in self.answers:
            if not self.pump(deadline - time.monotonic()):
                raise Failure(f"the browser did not answer {method} within {limit} s")
        answer = self.answers.pop(self.number)
        if "error" in answer:
            raise Failure(f"{method}: {answer['error'].get('message')}")
        return answer.get("result", {})

    def pump(self, seconds):
        """Takes what the browser says within the time; False where it says nothing."""
        if seconds <= 0 or not select.select([self.read_end], [], [], seconds)[0]:
            return False
        data = os.read(self.read_end, 1 << 20)
        if not data:
            raise Failure("the browser has ended")
        *messages, self.buffer = (self.buffer + data).split(b"\0")
        for text in messages:
            message = json.loads(text)
            if "id" in message:
                self.answers[message["id"]] = message
            else:
                for listener in self.listeners:
                    listener(message)
        return True


class Page:
    """One page. Notes every error of the console and every request that leaves `origin`."""

    def __init__(self, browser, origin, width=1280, height=860):
        self.browser = browser
        self.origin = origin
        self.errors = []
        self.expected = []
        target = browser.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        browser.listeners.append(self.note)
        for domain in ["Page", "Runtime", "Log", "Network"]:
            self.send(f"{domain}.enable")
        self.resize(width, height)

    def send(self, method, **parameters):
        return self.browser.send(method, session=self.session, **parameters)

    def resize(self, width, height):
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
          mobile=width < 600)

    def dark(self, is_dark):
        # Without transitions: a colour that is looked at on its way from one scheme to the other is neither's.
        self.send("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"}])

    def note(self, message):
        if message.get("sessionId") != self.session:
            return
        method, parameters = message["method"], message["params"]
        if method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            self.errors.append(str([argument.get("value") for argument in parameters["args"]]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            entry = parameters["entry"]
            text = f"{entry['text']} {entry.get('url', '')}"
            if not any(part in text for part in self.expected):
                self.errors.append(text)
        elif method == "Network.requestWillBeSent":
            url = parameters["request"]["url"]
            if not url.startswith((self.origin + "/", "data:", "blob:" + self.origin, "about:")):
                self.errors.append(f"a request left the platform: {url}")

    def evaluate(self, script):
        result = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise Failure(details.get("exception", {}).get("description") or details["text"])
        return result["result"].get("value")

    def wait(self, script, what, limit=20):
        """Waits until the script gives something true, and gives it back."""
        deadline = time.monotonic() + limit
        while True:
            try:
                value = self.evaluate(f"(v => v instanceof Node ? true : v)({script})")
            except Failure as failure:
                # A page that is being loaded again has nothing to ask yet.
                if "navigated or closed" not in str(failure) and "context" not in str(failure):
                    raise
                value = None
            if value:
                return value
            if time.monotonic() > deadline:
                shown = self.evaluate("document.body.innerText.slice(0, 3000)")
                raise Failure(f"after {limit} s still waiting for: {what}\n--- the page:\n{shown}\n--- {self.errors}")
            self.browser.pump(0.05)

    def wait_for_text(self, text, within="body", limit=20):
        return self.wait(
            f"[...document.querySelectorAll({json.dumps(within)})].some(e => e.innerText.includes({json.dumps(text)}))",
            f"'{text}' in {within}", limit)

    def open(self, url):
        self.send("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'", f"{url} to load")

    def view(self, address):
        """Opens a view of the console by its address."""
        self.evaluate(f"location.hash = {json.dumps('#/' + address)}")
        self.wait("document.querySelector('#main h1') && !document.querySelector('#main [role=alert]')",
          f"view {address}")

    def press(self, selector, text=None):
        """Clicks where the element is, as a mouse does: what is covered or off the page is not clicked."""
        find = f"""(() => {{
          const wanted = {json.dumps(text)};
          const found = [...document.querySelectorAll({json.dumps(selector)})]
            .find(e => e.checkVisibility() && !e.disabled && (wanted === null || e.innerText.trim() === wanted
              || e.getAttribute("aria-label") === wanted));
          if (!found) return null;
          found.scrollIntoView({{ block: "center" }});
          const box = found.getBoundingClientRect();
          const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
          const top = document.elementFromPoint(x, y);
          return found.contains(top) || top?.contains(found) ? [x, y] : null;
        }})()"""
        x, y = self.wait(find, f"{selector} '{text or ''}' to click")
        for kind in ["mousePressed", "mouseReleased"]:
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, selector, text):
        self.wait(f"document.querySelector({json.dumps(selector)})", selector)
        self.evaluate(f"(e => {{ e.focus(); e.select?.(); }})(document.querySelector({json.dumps(selector)}))")
        self.send("Input.insertText", text=text)

    def choose(self, selector, path):
        """Chooses a file in a field for files."""
        self.wait(f"document.querySelector({json.dumps(selector)})", selector)
        found = self.send("Runtime.evaluate", expression=f"document.querySelector({json.dumps(selector)})")
        self.send("DOM.setFileInputFiles", files=[path], objectId=found["result"]["objectId"])

    def key(self, key, code=None, number=0):
        for kind in ["keyDown", "keyUp"]:
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=code or key, windowsVirtualKeyCode=number,
                      text="\r" if key == "Enter" and kind == "keyDown" else "")

    def screenshot(self, path, is_whole=False):
        parameters = {}
        if is_whole:
            # What stays in place while the page scrolls is at the top of the picture.
            self.evaluate("window.scrollTo(0, 0)")
            size = self.send("Page.getLayoutMetrics")["cssContentSize"]
            parameters = {"captureBeyondViewport": True, "clip": {
                "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}
        data = self.send("Page.captureScreenshot", format="png", **parameters)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))
