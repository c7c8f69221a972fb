"""An authenticator app as the second factor, as a person enrols and uses it in the console."""

import base64
import hmac
import struct
import time

from browser import Failure


def shown_by_app(secret):
    """The code of RFC 6238 for now."""
    key = base64.b32decode(secret)
    digest = hmac.digest(key, struct.pack(">Q", int(time.time()) // 30), "sha1")
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at:at + 4])[0] & 0x7FFFFFFF) % 1_000_000:06d}"


def second_factor(page, around, password):
    """Whoever is logged in by password enrols, logs in with a code, and removes the second factor again."""
    code = "dialog input[autocomplete=one-time-code]"
    page.view("settings")
    page.press(".account button", "Second factor")
    page.type("dialog input[type=password]", password)
    page.press("dialog button.primary")
    page.wait_for_text("Give the secret to the app", "dialog")
    secret = page.evaluate("document.querySelector('dialog input[readonly]').value")
    address = page.evaluate("document.querySelector('dialog a').href")
    if not address.startswith("otpauth://totp/") or f"secret={secret}&" not in address:
        raise Failure(f"the app's address has the secret: {address}")
    page.type(code, shown_by_app(secret))
    page.press("dialog button.primary")
    page.wait_for_text("Each of these codes stands in", "dialog")
    codes = page.evaluate("document.querySelector('dialog .secret input').value").split()
    if len(codes) != 10:
        raise Failure(f"ten recovery codes, not {codes}")
    page.press("dialog button.primary")
    page.press(".side button.link", "Log out")
    page.wait("document.querySelector('input[name=password]')", "the login by password, as it was the last time")
    page.expected = ["401 (Unauthorized)"]
    page.type("input[name=name]", "admin")
    page.type("input[name=password]", password)
    page.press("button.primary")
    page.wait("document.querySelector('input[name=code]')", "the code to be asked for")
    page.screenshot(f"{around.screenshots}/login-code.png")
    page.type("input[name=code]", "000000")
    page.press("button.primary")
    page.wait_for_text("The code is wrong", "[role=alert]")
    page.type("input[name=code]", codes[0])
    page.press("button.primary")
    page.wait_for_text("Overview", "h1")
    page.expected = []
    page.view("settings")
    page.press(".account button", "Second factor")
    page.wait_for_text("9 recovery codes are left", "dialog")
    page.type(code, codes[1])
    page.press("dialog button.primary")
    page.wait_for_text("was removed", ".toasts")
