"""What goes into the platform and out of it: configurations, usage, logins, sizes and metrics."""

import json
import os
import tempfile

from surroundings import eventually, expect


def configuration_applied(page, around):
    """A fault is told with its line; what would change is shown; what takes something away asks for a name."""
    page.view("settings")
    page.press("a.button", "Apply a configuration")
    page.wait_for_text("Nothing was checked yet", "[data-key=changes]")
    write = """(change => (e => { e.value = change(e.value); e.dispatchEvent(new Event('input')); })
      (document.getElementById('manifest')))"""
    page.evaluate(f"{write}(() => 'apiVersion: cloudwright/v1\\nkind: CloudServise\\nmetadata: {{name: a}}\\n')")
    page.expected = ["400 (Bad Request)"]
    page.press("button.primary", "Check and show changes")
    page.wait_for_text("line 2", "[data-key=changes] [role=alert]")
    page.screenshot(f"{around.screenshots}/configuration-fault.png", is_whole=True)
    page.expected = []
    page.press("button", "Begin with the present one")
    page.wait("document.getElementById('manifest').value.includes('name: ledger')", "the present configuration")
    page.press("button.primary", "Check and show changes")
    page.wait_for_text("nothing changes", "[data-key=changes] [role=status]")
    # The ledger has two instances and may have three: nothing that runs is stopped by two.
    page.evaluate(f"""{write}(text => text.split(/^---$/m).map(one => one.includes('name: ledger')
      && one.includes('kind: CloudService') ? one.replace('maximumInstances: 3', 'maximumInstances: 2')
      : one.replace('displayName: Carol', 'displayName: Caroline')).join('---'))""")
    page.press("button.primary", "Check and show changes")
    page.wait_for_text("maximumInstances: 3 -> 2", "[data-key=changes] tbody")
    page.wait_for_text("changed: 2", "[data-key=changes] [role=status]")
    expect(around.api("/services/ledger/constraints")["maximumInstances"] == 3, "a check changes nothing")
    page.screenshot(f"{around.screenshots}/configuration-changes.png", is_whole=True)
    page.press("[data-key=changes] button.primary", "Apply")
    page.wait_for_text("maximumInstances: 3 -> 2", "dialog")
    expect(page.evaluate("document.querySelector('dialog button.danger').disabled"), "nothing goes without the name")
    page.type("dialog input", "demo")
    page.press("dialog button.danger")
    page.wait_for_text("Applied.", "[data-key=changes] [role=status]")
    expect(around.api("/services/ledger/constraints")["maximumInstances"] == 2, "it is applied")
    expect(around.api("/consumers/carol")["displayName"] == "Caroline", "all of it is applied")


def limit_lowered(page, around):
    """Below what runs, a limit stops instances: the name is asked for, and only then."""
    def up():
        return [one["id"] for one in around.api("/services/shop")["instances"] if one["phase"] == "running"]

    eventually(lambda: len(up()) == 3, "three instances of the shop")
    page.view("services/shop")
    edit = "Change: Maximum instances"
    page.press("#main button", edit)
    page.type("dialog input", "3")
    page.press("dialog button.primary")
    page.wait("!document.querySelector('dialog')", "the dialog to close: nothing is stopped")
    expect(around.api("/services/shop/constraints")["maximumInstances"] == 3, "the limit is 3")
    page.view("services/classic")
    running = len([one for one in around.api("/services/classic")["instances"] if one["phase"] == "running"])
    expect(running >= 2, f"some instances of classic run: {running}")
    page.press("#main button", edit)
    page.type("dialog input", "1")
    page.press("dialog button.primary")
    page.wait_for_text("Lower the limit of classic to 1?", "dialog")
    expect(page.evaluate("document.querySelector('dialog button.danger').disabled"), "nothing goes without the name")
    page.screenshot(f"{around.screenshots}/limit-lowered.png")
    page.type("dialog input", "classic")
    page.press("dialog button.danger")
    page.wait("!document.querySelector('dialog')", "the dialog to close")
    expect(around.api("/services/classic/constraints")["maximumInstances"] == 1, "the limit is 1")
    page.press("#main button", edit)
    page.type("dialog input", "4")
    page.press("dialog button.primary")
    page.wait("!document.querySelector('dialog')", "the dialog to close: more stops nothing")
    expect(around.api("/services/classic/constraints")["maximumInstances"] == 4, "the limit is 4 again")


def downloaded(page, around, view, name, prepare=lambda: None):
    """The file that the dialog behind a view's button gives the browser."""
    with tempfile.TemporaryDirectory() as folder:
        page.browser.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=folder)
        page.view(view)
        page.press("#main button", "Export")
        prepare()
        page.screenshot(f"{around.screenshots}/export-{view.split('?')[0]}.png")
        page.press("dialog button.primary", "Download")
        path = os.path.join(folder, name)
        eventually(lambda: os.path.exists(path), f"the browser has {name}")
        page.wait_for_text("records", ".toasts")
        with open(path, encoding="utf-8") as file:
            return file.read()


def usage_and_logins_exported(page, around):
    events = json.loads(downloaded(page, around, "usage", "usage.cloudevents.json"))
    with around.raw("/usage/export?limit=1000") as response:
        known = json.load(response)
    expect(len(known) > 3 and [one["id"] for one in events[:len(known)]] == [one["id"] for one in known],
           f"all usage records: {len(events)} of {len(known)}")
    mine = json.loads(downloaded(page, around, "usage?consumer=alice", "usage.cloudevents.json"))
    expect(mine and {one["subject"] for one in mine} == {"alice"}, "with the filter of the page")

    def choose_cef():
        page.evaluate("(e => { e.value = 'cef'; e.dispatchEvent(new Event('change')); })"
                      "(document.querySelector('dialog select'))")

    lines = downloaded(page, around, "audit?principal=mallory", "logins.cef", choose_cef).splitlines()
    expect(len(lines) == 2 and all(line.startswith("CEF:0|") and "mallory" in line for line in lines),
           f"the two failed logins: {lines}")
    page.view("audit?principal=nobody-at-all")
    page.press("#main button", "Export")
    page.press("dialog button.primary", "Download")
    page.wait_for_text("No record fits", "dialog [role=alert]")
    page.press("dialog button", "Cancel")


def usage_reported(page, around):
    page.view("usage")
    page.press("#main button", "Report usage")
    page.press("dialog button.primary", "Report")
    page.wait_for_text("Fill in all four fields", "dialog [role=alert]")
    page.screenshot(f"{around.screenshots}/usage-report.png")
    for number, text in enumerate(["alice", "shop", "storage", "1.25"]):
        page.evaluate(f"document.querySelectorAll('dialog input')[{number}].focus()")
        page.send("Input.insertText", text=text)
    page.press("dialog button.primary", "Report")
    page.wait_for_text("1 stored", ".toasts")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "events.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump([{"specversion": "1.0", "id": f"file-{number}", "source": "/file", "type": "storage",
                        "subject": "alice", "time": "2026-01-02T03:04:05Z",
                        "data": {"service": "shop", "meter": "storage", "quantity": "1"}} for number in range(2)], file)
        page.press("#main button", "Report usage")
        page.choose("dialog input[type=file]", path)
        page.press("dialog button.primary", "Report")
        page.wait_for_text("2 stored", ".toasts")


def size_recommended(page, around):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "used.csv")
        with open(path, "w", encoding="utf-8") as file:
            file.write("".join(f"{minute * 60},{300 + minute % 7 * 20}\n" for minute in range(2_000)))
        page.view("infrastructure")
        page.press("a.button", "Recommend a size")
        page.wait_for_text("Nothing was computed yet", "[data-key=size]")
        page.choose("[data-key=use] input[type=file]", path)
        page.press("[data-key=use] button.primary", "Recommend")
        page.wait_for_text("Give it", "[data-key=size] [role=status]")
        with open(path, encoding="utf-8") as file:
            found = around.api("/size-recommendations", "POST", {"csv": file.read(), "givenMillicores": 1000})
        page.wait_for_text(f"{found['targetMillicores']:,} millicores", "[data-key=size] [role=status]")
        page.screenshot(f"{around.screenshots}/sizes.png", is_whole=True)
        path = os.path.join(folder, "other.csv")
        with open(path, "w", encoding="utf-8") as file:
            file.write("0,1\nno comma\n")
        page.expected = ["400 (Bad Request)"]
        page.choose("[data-key=use] input[type=file]", path)
        page.press("[data-key=use] button.primary", "Recommend")
        page.wait_for_text("line 2", "[data-key=size] [role=alert]")
        page.expected = []


def metric_reported(page, around):
    page.view("services/desk/scaling")
    page.wait_for_text("counts for a minute", "[data-key=report]")
    page.type("[data-key=report] input", "7")
    page.press("[data-key=report] button.primary", "Report")
    page.wait_for_text("queue-length is 7 for a minute", ".toasts")
    page.screenshot(f"{around.screenshots}/metric.png", is_whole=True)


def names_offered(page, around):
    """A filter asks the platform for names that fit, and offers a few."""
    page.view("events")
    page.type("#main input[list=offered-services]", "led")
    page.wait("[...document.querySelectorAll('#offered-services option')].map(e => e.value).join() === 'ledger'",
              "what fits")
    page.type("#main input[list=offered-services]", "ledger")
    page.key("Enter", number=13)
    page.wait("location.hash === '#/events?service=ledger'", "the choice in the address")
