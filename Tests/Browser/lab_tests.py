"""The console over real hypervisors: a guest's serial console opened in the page, and a host drained while the page
watches its virtual server move.

    lab_tests.py SURROUNDINGS

SURROUNDINGS as for console_tests.py.
"""

import time

from browser import Failure
from runner import main
from surroundings import eventually, expect
from views import log_in


def running(around):
    return [server for server in around.api("/virtual-servers")["items"] if server["phase"] == "running"]


def console_used(page, around):
    """What the guest said while it booted is on the screen, and what is typed reaches its shell."""
    eventually(lambda: len(running(around)) == 1, "the virtual server runs", limit=90)
    name = running(around)[0]["instance"]
    page.view("infrastructure")
    page.press("a", "Console")
    page.wait_for_text("Open", "[data-key=terminal] .pill")
    page.wait("document.activeElement === document.querySelector('.terminal')", "the focus in the terminal")
    page.key("Enter", number=13)
    page.wait(r"/[#$]\s*$/m.test(document.querySelector('.terminal').innerText)", "the guest's shell", limit=30)
    for character in "busybox dmesg | busybox head -n 4; echo $((40 + 2))-in-the-page":
        page.send("Input.dispatchKeyEvent", type="keyDown", key=character, text=character)
        page.send("Input.dispatchKeyEvent", type="keyUp", key=character)
    page.key("Enter", number=13)
    page.wait_for_text("42-in-the-page", ".terminal", limit=30)
    page.wait_for_text("Linux version", ".terminal")
    page.screenshot(f"{around.screenshots}/lab-console.png", is_whole=True)
    page.view("events")
    page.wait_for_text("console", "#main tbody")
    page.view("infrastructure")
    page.wait_for_text(name, "#main tbody")


def host_drained(page, around):
    """The plan is read, the drain confirmed by the host's name, and the progress of the live migration seen to grow."""
    server = running(around)[0]
    name, host = server["instance"], server["host"]
    other = {"host-1": "host-2", "host-2": "host-1"}[host]
    page.view("infrastructure")
    page.press("button", f"Drain {host}")
    page.wait_for_text(f"{name} → {other}", "dialog")
    expect(page.evaluate("document.querySelector('dialog button.danger').disabled"), "nothing goes without the name")
    # Slow enough that somebody can watch.
    page.evaluate("(e => { e.focus(); e.select(); })(document.querySelector('dialog input[type=number]'))")
    page.send("Input.insertText", text="8")
    page.type("dialog input:not([type=number])", host)
    page.press("dialog button.danger")
    page.wait_for_text("closed", f"[data-key=host-{host}]")
    page.wait_for_text(f"to {other}:", f"[data-key=host-{host}] tbody", limit=60)
    seen = watched(page, around, host, other)
    expect(len(seen) >= 3, f"the progress was seen to grow without a reload: {seen}")
    page.wait_for_text(name, f"[data-key=host-{other}] tbody", limit=60)
    page.wait_for_text("No virtual servers", f"[data-key=host-{host}]")
    page.wait_for_text("succeeded", "[data-key=moves] tbody", limit=30)
    page.screenshot(f"{around.screenshots}/lab-drained.png", is_whole=True)
    page.view("timelines?mechanism=live-migration")
    page.wait("[...document.querySelectorAll('.steps')].some(e => e.querySelectorAll('li:not(.missing)').length >= 5)",
              "all five steps of S8")
    page.screenshot(f"{around.screenshots}/lab-migration.png", is_whole=True)
    page.view("infrastructure")
    page.press("button", f"Activate {host}")
    page.wait(f"!document.querySelector('[data-key=host-{host}]').innerText.includes('closed')", "an open host")


def watched(page, around, host, other):
    """What the row of the moving virtual server said, each text once, until it has left the host."""
    seen = []
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        said = page.evaluate(f"""[...document.querySelectorAll('[data-key=host-{host}] tbody td')]
          .map(e => e.innerText).find(text => text.includes('to {other}:'))""")
        if said is None:
            return seen
        text = next(line for line in said.split("\n") if line.startswith(f"to {other}:"))
        if text not in seen:
            seen.append(text)
            if len(seen) == 3:
                page.screenshot(f"{around.screenshots}/lab-draining.png", is_whole=True)
        page.browser.pump(0.05)
    raise Failure(f"the virtual server is still on {host}: {seen}")


tests = [log_in, console_used, host_drained]


if __name__ == "__main__":
    main(tests, "lab-failure.png")
