"""axe-core (https://github.com/dequelabs/axe-core) over every view of the console, in light and in dark, on a wide and
on a small screen, and over dialogs.

    accessibility_tests.py SURROUNDINGS

SURROUNDINGS as for console_tests.py. `scripts/install-prerequisites --browser` fetches axe-core into .build/axe. Ends
with 1 where it finds anything serious or critical.
"""

import json
import os

from runner import main
from surroundings import Consumer, eventually, expect
from views import drawn, log_in, views

checker = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.build/axe/axe.min.js")


def findings(page):
    """What is serious or critical on the page as it is, each with the first places where it is."""
    if not page.evaluate("!!window.axe"):
        with open(checker, encoding="utf-8") as file:
            page.evaluate(file.read() + ";true")
    return page.evaluate("""axe.run(document, { resultTypes: ['violations'] }).then(r => r.violations
      .filter(v => v.impact === 'serious' || v.impact === 'critical')
      .map(v => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map(n => n.html.slice(0, 160)).join(' | ')}`))""")


# Of all pages together: who mends one wants to know of the others.
found = {}


def check(page, what):
    for finding in findings(page):
        found.setdefault(finding, []).append(what)


def nothing_serious(page, around):
    expect(not found, "no serious finding:\n" + "\n".join(
        f"{finding}\n  in {'; '.join(places)}" for finding, places in found.items()))


def login_page(page, around):
    page.open(around.administration + "/")
    page.wait_for_text("Log in", "button")
    check(page, "the login")
    log_in(page, around)


def something_of_everything(page, around):
    """A limit that is reached, somebody who waits for it, and logins that fail: views that are not empty."""
    for consumer in ["alice", "bob", "carol"]:
        Consumer(around, consumer, "classic", "/hold?ms=120000")
    def busy():
        return len((around.api("/services/classic").get("load") or {}).get("requestsInFlightByInstance", {}))

    eventually(lambda: busy() == 3, "three consumers on three instances")
    expect(around.call("dave", "classic", "/hold?ms=10") == 429, "the fourth consumer is rejected")
    Consumer(around, "dave", "classic", "/hold?ms=10", headers=[("Prefer", "wait=120")])
    for secret in ["guess", "another"]:
        around.call(None, "shop", "/login", "POST", [("Content-Type", "application/json")],
                    json.dumps({"user": "mallory", "password": secret}))
    eventually(lambda: any(server["phase"] == "running" for server in around.api("/virtual-servers")["items"]),
               "the virtual server runs")
    drawn(page, "notifications")
    page.wait("document.querySelector('.note .act button')", "the notification with its button")


def every_view(page, around):
    server = around.api("/virtual-servers")["items"][0]["instance"]
    # Without noVNC on this machine the display says what is missing; the browser notes that a file was not found.
    page.expected = ["404 (Not Found)"]
    everything = views + [f"infrastructure/console/{server}", f"infrastructure/display/{server}"]
    for is_dark, width in [(False, 1280), (True, 1280), (False, 390)]:
        page.dark(is_dark)
        page.resize(width, 860)
        for view in everything:
            drawn(page, view)
            if "/console/" in view:
                # The hypervisor for tests has none: what is left while it opens is an error on the browser's console.
                page.wait_for_text("Open again", "[data-key=terminal]")
            if view == "audit/integrity" and width == 1280:
                page.press("button.primary", "Check now")
                page.wait("document.querySelectorAll('[data-key=integrity] tbody tr').length >= 4", "the findings")
            check(page, f"{view} ({'dark' if is_dark else 'light'}, {width} px)")
    page.dark(False)
    page.resize(1280, 860)
    page.expected = []


def states_and_dialogs(page, around):
    """What the views show only once somebody has asked for it."""
    drawn(page, "settings/configuration")
    page.press("button", "Begin with the present one")
    page.wait("document.getElementById('manifest').value.includes('kind: CloudService')", "the present configuration")
    page.evaluate("""(e => { e.value = e.value.replace(/maximumInstances: 3/, 'maximumInstances: 2');
      e.dispatchEvent(new Event('input')); })(document.getElementById('manifest'))""")
    page.press("button.primary", "Check and show changes")
    page.wait("document.querySelector('[data-key=changes] tbody tr')", "what would change")
    check(page, "the changes of a configuration")
    page.press("[data-key=changes] button.primary", "Apply")
    for view, button in [(None, None), ("usage", "Export"), ("usage", "Report usage"), ("audit", "Export"),
                         ("services/classic", "Change: Maximum instances"), ("consumers", "Make an API key: alice"),
                         ("infrastructure/images", "Import"), ("settings", "Make an administrator")]:
        if view:
            drawn(page, view)
            page.press("#main button", button)
        page.wait("document.querySelector('dialog[open]')", f"the dialog of {button}")
        check(page, f"the dialog '{button or 'Apply a configuration'}'")
        page.press("dialog button", "Cancel")
        page.wait("!document.querySelector('dialog')", "the dialog to close")


tests = [login_page, something_of_everything, every_view, states_and_dialogs, nothing_serious]


if __name__ == "__main__":
    main(tests, "accessibility-failure.png")
