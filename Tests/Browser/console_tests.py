"""The web console in a real browser, against a platform that runs.

    console_tests.py SURROUNDINGS

SURROUNDINGS is a JSON file: `administration` (URL), `gateway` (address:port), `token` (an administrator's), `keys` (API
keys by consumer) and `screenshots` (a folder). Prints what was done; ends with 1 where anything is not as it should be.
"""

import json
import os
import signal

import pictures as pictures_of_documentation
from books import bill_closed, bill_verified, bills_shown, credit_given
from exchange import (configuration_applied, limit_lowered, metric_reported, names_offered, size_recommended,
                      usage_and_logins_exported, usage_reported)
from runner import main
from scaling import history_replayed, scaling_explained
from second_factor import second_factor
from surroundings import Consumer, eventually, expect
from views import drawn, views

password = "a fine pass phrase"


def first_login(page, around):
    page.open(around.administration + "/")
    page.wait_for_text("Log in", "button")
    page.screenshot(f"{around.screenshots}/login.png")
    # A wrong token is refused, and the browser notes the 401 on its console.
    page.expected = ["401 (Unauthorized)"]
    page.type("input[name=token]", "cwa_wrong")
    page.press("button.primary")
    page.wait_for_text("not valid", "[role=alert]")
    page.type("input[name=token]", around.token)
    page.press("button.primary")
    page.wait_for_text("Overview", "h1")
    expect(page.evaluate("document.cookie") == "", "no cookie that a script can read")
    page.view("settings")
    page.press(".account button", "Set the password")
    page.type("dialog input[autocomplete=new-password]", "short")
    page.evaluate("document.querySelectorAll('dialog input')[2].focus()")
    page.send("Input.insertText", text="short")
    page.expected.append("400 (Bad Request)")
    page.press("dialog button.primary")
    page.wait_for_text("12 characters", "dialog")
    for number in [1, 2]:
        page.evaluate(f"(e => {{ e.focus(); e.select(); }})(document.querySelectorAll('dialog input')[{number}])")
        page.send("Input.insertText", text=password)
    page.press("dialog button.primary")
    page.wait_for_text("was set", ".toasts")
    page.press(".side button.link", "Log out")
    page.press("button.link", "Use a password")
    page.type("input[name=name]", "admin")
    page.type("input[name=password]", password)
    page.key("Enter", number=13)
    page.wait_for_text("Overview", "h1")
    page.expected = []


def code_asked_for(page, around):
    second_factor(page, around, password)


def limit_raised(page, around):
    for consumer in ["alice", "bob", "carol"]:
        Consumer(around, consumer, "classic", "/hold?ms=20000")
    eventually(lambda: len((around.api("/services/classic").get("load") or {}).get("requestsInFlightByInstance", {})) == 3,
               "three consumers on three instances")
    page.view("notifications")
    page.wait_for_text("No limit is reached", "main")
    expect(around.call("dave", "classic", "/hold?ms=10") == 429, "the fourth consumer is rejected")
    dave = Consumer(around, "dave", "classic", "/hold?ms=10", headers=[("Prefer", "wait=60")])
    page.wait("document.querySelector('.note .act button')", "the notification with its button")
    page.wait_for_text("Waiting consumers: 1", "main")
    page.wait_for_text("1", ".side .badge")
    page.screenshot(f"{around.screenshots}/notifications.png")
    page.view("services/classic")
    page.wait_for_text("wait for a higher limit: 1", "[role=status]")
    page.screenshot(f"{around.screenshots}/service.png", is_whole=True)
    page.view("notifications")
    page.press(".note .act button", "Raise to 4")
    page.wait_for_text("The limit is 4", "main")
    dave.join(30)
    expect(dave.status == 200, f"dave is served after the limit was raised, not {dave.status}")
    expect(around.api("/services/classic/constraints")["maximumInstances"] == 4, "the limit is 4")
    page.view("timelines?mechanism=automated-scaling-listener&service=classic")
    page.wait("[...document.querySelectorAll('.steps')].some(e => e.querySelectorAll('li:not(.missing)').length >= 5)",
              "all five steps of S1")
    page.screenshot(f"{around.screenshots}/timeline-s1.png")


def failover_seen(page, around):
    page.view("failover")
    page.wait_for_text("standby", ".member")
    active = next(i for i in around.api("/instances?service=ledger")["items"]
                  if i["role"] == "active" and i["phase"] == "running")
    os.kill(active["processID"], signal.SIGKILL)
    page.wait("[...document.querySelectorAll('[data-key=ledger] .steps')]"
              ".some(e => e.querySelectorAll('li:not(.missing)').length === 4)", "the four steps of S6, live")
    page.screenshot(f"{around.screenshots}/failover.png", is_whole=True)
    page.view("timelines?mechanism=failover-active-passive&service=ledger")
    numbers = page.wait("(e => e && [...e.querySelectorAll('li:not(.missing) .circle')].map(c => c.innerText))"
                        "(document.querySelector('.steps'))", "the timeline")
    expect(numbers == ["1", "2", "3", "4"], f"the steps in order, not {numbers}")
    page.screenshot(f"{around.screenshots}/timeline-s6.png")


def failed_login_found(page, around):
    headers = [("Content-Type", "application/json")]
    for secret in ["guess", "another"]:
        status = around.call(None, "shop", "/login", "POST", headers, json.dumps({"user": "mallory",
          "password": secret}))
        expect(status == 401, f"the shop refuses mallory, not {status}")
    page.view("audit")
    page.wait_for_text("mallory", "[data-key=ranking]")
    page.type("form input[name=principal]", "mallory")
    page.press("form button.primary")
    page.wait("document.querySelectorAll('[data-key=logins] tbody tr').length === 2",
      "the two failed logins, and no other")
    page.wait_for_text("failure", "[data-key=logins]")
    page.wait("!document.querySelector('.toasts > *')", "the toasts to go")
    page.screenshot(f"{around.screenshots}/audit.png")
    page.press("form button", "Clear the filter")
    page.wait_for_text("administration (the platform itself)", "[data-key=logins]")


def services_searched(page, around):
    """The platform searches and gives a part; the page shows that part and leads back to the beginning."""
    rows = "[...document.querySelectorAll('#main tbody tr')].map(e => e.dataset.key).join()"
    page.view("services?search=LED")
    page.wait(f"{rows} === 'ledger'", "what fits the search")
    # Sorted by the platform as well, over all parts.
    page.view("services")
    page.press("#main th button", "Instances")
    page.wait("location.hash === '#/services?sort=instancesUp'", "the order in the address")
    page.wait("document.querySelector('#main th[aria-sort=ascending]')?.innerText.trim() === 'Instances'",
              "the order at the heading")
    up = page.evaluate("[...document.querySelectorAll('#main tbody tr')]"
                       ".map(e => parseInt(e.cells[3].innerText, 10))")
    expect(up == sorted(up) and len(up) == 4, f"by instances: {up}")
    page.view("services?after=desk")
    page.wait(f"{rows} === 'ledger,shop'", "the part behind a name")
    page.press("#main .more button", "To the beginning")
    page.wait(f"{rows} === 'classic,desk,ledger,shop'", "all of them")


def virtual_servers_commanded(page, around):
    eventually(lambda: any(server["phase"] == "running" for server in around.api("/virtual-servers")["items"]),
               "the virtual server runs")
    server = around.api("/virtual-servers")["items"][0]
    name, host = server["instance"], server["host"]
    other = {"host-a": "host-b", "host-b": "host-a"}[host]
    page.view("infrastructure")
    page.wait_for_text(name, f"[data-key=host-{host}] tbody")
    page.wait_for_text("No virtual servers", f"[data-key=host-{other}]")
    page.wait_for_text("64 MiB of 1 GiB", f"[data-key=host-{host}]")
    page.screenshot(f"{around.screenshots}/infrastructure.png", is_whole=True)
    # Nor has it consoles: a WebSocket that is let in is told why it is closed.
    page.press("a", "Console")
    page.wait_for_text("gives no console", "[data-key=terminal]")
    page.wait_for_text("Open again", "[data-key=terminal]")
    page.screenshot(f"{around.screenshots}/server-console.png")
    page.view("overview")
    page.wait_for_text("2 / 2", "#main a.tile[href='#/infrastructure']")
    page.wait_for_text("13 %", "#main a.tile[href='#/infrastructure']")
    page.view("infrastructure")
    page.wait_for_text(name, f"[data-key=host-{host}] tbody")
    # The hypervisor for tests cannot migrate: the refusal says why, in the dialog.
    page.expected = ["409 (Conflict)"]
    page.press("button", f"Migrate {name}")
    page.type("dialog input[name=host]", other)
    page.press("dialog button.primary", "Migrate")
    page.wait_for_text(other, "dialog [role=alert]")
    page.screenshot(f"{around.screenshots}/infrastructure-refused.png")
    page.press("dialog button", "Cancel")
    page.expected = []
    page.press("button", f"Suspend {name}")
    expect(page.evaluate("document.querySelector('dialog button.danger').disabled"), "nothing goes without the name")
    page.type("dialog input", name)
    page.press("dialog button.danger")
    page.wait_for_text("suspended", f"[data-key=host-{host}] tbody")
    page.press("button", f"Resume {name}")
    page.wait_for_text("running", f"[data-key=host-{host}] tbody")
    page.wait_for_text("Resume", "[data-key=moves] tbody")
    page.press("[data-key=moves] a", "Steps of the migrations")
    page.wait_for_text("Live migration", "#main select")
    expect(page.evaluate("document.querySelector('#main select').value") == "live-migration", "only migrations")
    page.view("infrastructure")
    page.press("button", f"Drain {host}")
    page.wait_for_text("stays for now", "dialog")
    page.type("dialog input:not([type=number])", host)
    page.press("dialog button.danger")
    page.wait_for_text("closed", f"[data-key=host-{host}]")
    page.press("button", f"Abort the drain {host}")
    page.wait(r"[...document.querySelectorAll('[data-key=moves] td')].some(e => /aborted it\n+0 of 1/.test(e.innerText))",
              "why the drain ended, and on a line of its own how far it came")
    page.press("button", f"Activate {host}")
    page.wait(f"!document.querySelector('[data-key=host-{host}]').innerText.includes('closed')", "an open host")
    expect(not around.api("/physical-servers")["items"][0]["closed"], "the physical server takes work again")


def check_integrity(page):
    page.press("button.primary", "Check now")
    page.wait("document.querySelectorAll('[data-key=integrity] tbody tr').length >= 4", "what was found of each log")


def integrity_checked(page, around):
    page.view("audit")
    page.press(".tabs a", "Integrity")
    page.wait_for_text("Not checked yet", "#main")
    check_integrity(page)
    page.wait_for_text("Nothing was altered", "[role=status]")
    expect("altered" not in page.evaluate("document.querySelector('[data-key=integrity]').innerText"), "genuine logs")
    page.wait_for_text(around.api("/integrity/key")["key"], "#main pre")


def key_made_and_revoked(page, around):
    page.view("consumers")
    page.press("button", "Make an API key: alice")
    page.press("dialog button.primary")
    key = page.wait("document.querySelector('dialog .secret input')?.value", "the new key")
    held = dict(around.keys)
    around.keys["alice"] = key
    eventually(lambda: around.call("alice", "ledger", "/") == 200, "the new key admits alice")
    page.press("dialog button.primary", "Done")
    credential = next(c["id"] for c in around.api("/consumers/alice")["credentials"] if key.startswith(c["prefix"]))
    page.press("button", f"Revoke {credential}")
    expect(page.evaluate("document.querySelector('dialog button.danger').disabled"), "nothing goes without the name")
    page.type("dialog input", credential)
    page.press("dialog button.danger")
    page.wait("!document.querySelector('dialog')", "the dialog to close")
    eventually(lambda: around.call("alice", "ledger", "/") == 401, "the revoked key admits nobody")
    around.keys = held


def both_languages(page, around):
    page.view("settings")
    page.evaluate("(e => { e.value = 'zh'; e.dispatchEvent(new Event('change')); })"
                  "([...document.querySelectorAll('select')].find(e => e.innerText.includes('简体中文')))")
    page.wait_for_text("设置", "h1")
    expect(page.evaluate("document.documentElement.lang") == "zh-CN", "the page says that it is Chinese")
    for view in views:
        page.view(view)
        # Other groups have the names of kinds of events, which the log shows as they are.
        nameless = page.evaluate(r"""document.body.innerText.match(
          /\b(nav|overview|services|state|bills|infrastructure|integrity|timelines|list)\.[a-z][a-zA-Z-]*/g)""")
        expect(not nameless, f"words instead of the names of texts in {view}: {nameless}")
    page.dark(True)
    for view, title in [("overview", "概览"), ("notifications", "通知"), ("services/classic", "实例"),
                        ("failover", "故障转移"), ("settings/configuration", "清单"),
                        ("infrastructure/sizes", "推荐大小"), ("usage", "用量"), ("audit", "审计")]:
        page.view(view)
        page.wait_for_text(title, "#main")
        page.wait("document.querySelector('#main .card')", f"{view} to be drawn")
        name = view.split("/")[0].removesuffix("s") if "/" in view else view
        page.screenshot(f"{around.screenshots}/{name}-chinese.png", is_whole=True)
    page.dark(False)
    page.evaluate("localStorage.setItem('cloudwright.language', 'en')")
    page.open(around.administration + "/console/?again")
    page.wait_for_text("Overview", "h1")


def small_screen(page, around):
    page.resize(390, 844)
    for view in views:
        drawn(page, view)
        width = page.evaluate("document.scrollingElement.scrollWidth")
        expect(width <= 390, f"{view} fits in 390 pixels, not {width}")
        if view in ["overview", "usage", "infrastructure", "infrastructure/sizes", "settings/configuration"]:
            page.screenshot(f"{around.screenshots}/small-{view.replace('/', '-')}.png", is_whole=True)
    page.view("overview")
    page.press("button.burger")
    page.wait("document.querySelector('.side.open nav a').checkVisibility()", "the menu to open")
    page.press(".side nav a", "Services")
    page.wait_for_text("Services", "h1")
    page.view("notifications")
    page.wait("document.querySelector('.note')", "the inbox")
    page.screenshot(f"{around.screenshots}/small.png")
    page.resize(1280, 860)


def by_keyboard(page, around):
    page.open(around.administration + "/console/?keys")
    page.wait("document.querySelector('#main .card')", "the overview")
    page.key("Tab", number=9)
    expect(page.evaluate("document.activeElement.className") == "skip", "the first stop skips the navigation")
    page.key("Enter", number=13)
    page.wait("document.activeElement.id === 'main'", "the focus in the content")
    page.view("consumers")
    page.press("button", "Make an API key: bob")
    page.wait("document.querySelector('dialog').contains(document.activeElement)", "the focus in the dialog")
    page.key("Escape", number=27)
    page.wait("!document.querySelector('dialog')", "Escape to close the dialog")


def controls_named(page, around):
    """Also where axe-core is not installed, whose tests are in accessibility_tests.py."""
    for view in views:
        drawn(page, view)
        nameless = page.evaluate("""[...document.querySelectorAll('button, a, input, select, textarea')].filter(e =>
          e.checkVisibility() && !(e.innerText.trim() || e.getAttribute('aria-label') || e.labels?.length))
          .map(e => e.outerHTML.slice(0, 120))""")
        expect(not nameless, f"every control of {view} has a name: {nameless}")


def pictures(page, around):
    """One of each view, to be looked at."""
    page.send("Input.dispatchMouseEvent", type="mouseMoved", x=1, y=500)
    for view in views:
        drawn(page, view)
        name = view.replace("/", "-").replace("?show=", "-").replace("?mechanism=", "-")
        page.screenshot(f"{around.screenshots}/view-{name}.png", is_whole=True)
    page.dark(True)
    drawn(page, "overview")
    page.screenshot(f"{around.screenshots}/overview-dark.png", is_whole=True)
    page.dark(False)


def interactive_soon(page, around):
    page.open(around.administration + "/console/?timed")
    page.wait("document.querySelector('#main .card')", "the overview")
    milliseconds = page.evaluate("performance.now()")
    print(f"  loaded and drawn after at most {milliseconds:.0f} ms")
    expect(milliseconds < 5_000, f"the console is there within 5 s, not {milliseconds:.0f} ms")


def feed_resumes(page, around):
    """The event log is followed without a gap: what happens while the page is hidden is there when it is seen again."""
    page.view("events")
    page.wait_for_text("Live", ".feed")
    page.wait("document.querySelector('#main tbody tr')", "the log")

    def hide(is_hidden):
        value = json.dumps(is_hidden)
        page.evaluate(f"Object.defineProperty(document, 'hidden', {{ value: {value}, configurable: true }});"
                      "document.dispatchEvent(new Event('visibilitychange'))")

    hide(True)
    around.api("/consumers/carol/credentials", "POST", {})
    page.evaluate("fetch('/healthz').then(() => true)")
    expect("carol" not in page.evaluate("document.querySelector('#main tbody tr').innerText"), "a hidden page rests")
    hide(False)
    page.wait_for_text("carol", "#main tbody tr:first-child", limit=5)


def rights_shown(page, around):
    """Who may not change anything is offered nothing to change; a consumer sees its own views only."""
    tokens = {name: around.api("/administrators", "POST", {"name": name, **role})["token"] for name, role in [
        ("ada", {"role": "auditor"}), ("grace", {"role": "consumer", "consumer": "alice"})]}

    def log_in(name):
        page.press(".side button.link", "Log out")
        page.wait("document.querySelector('.login form')", "the login")
        if page.evaluate("!document.querySelector('input[name=token]')"):
            page.press("button.link", "Use a token")
        page.type("input[name=token]", tokens[name])
        page.press("button.primary")
        page.wait_for_text(name, ".side footer")

    log_in("ada")
    page.view("services/classic")
    page.wait("document.querySelector('#main table')", "the instances")
    expect(page.evaluate("document.querySelectorAll('#main button').length") == 0, "an auditor changes nothing")
    log_in("grace")
    names = page.evaluate("[...document.querySelectorAll('.side nav a')].map(e => e.innerText.trim())")
    expect(names == ["Notifications", "Usage", "Bills", "Audit", "Settings"], f"what a consumer sees, not {names}")
    for view in ["notifications", "usage", "bills", "bills/alice/current", "audit", "settings"]:
        page.view(view)
        page.wait("document.querySelector('#main .card')", f"{view} to be drawn")
    page.view("usage")
    page.wait_for_text("alice", "#main")
    expect(not page.evaluate("document.body.innerText.includes('dave')"), "nothing of another consumer")


tests = [first_login, code_asked_for, limit_raised, limit_lowered, failover_seen, failed_login_found, bills_shown,
         bill_closed, bill_verified, credit_given, integrity_checked,
         virtual_servers_commanded, key_made_and_revoked, feed_resumes, by_keyboard, both_languages, small_screen,
         controls_named, pictures, scaling_explained, history_replayed, services_searched, names_offered,
         usage_and_logins_exported, usage_reported, size_recommended, metric_reported, configuration_applied,
         interactive_soon, rights_shown]


if __name__ == "__main__":
    main(tests, "failure.png",
         lambda around: pictures_of_documentation.update(around.screenshots))
