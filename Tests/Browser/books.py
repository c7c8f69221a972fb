"""Bills in the console: opened, closed and verified in the page."""

import json
import urllib.request

from surroundings import expect


def report_usage(around, month):
    """What a service counted itself in a month that is over, so that its bill rests on records."""
    events = [{
        "specversion": "1.0", "id": f"storage-{number}", "source": "/shop", "type": "storage", "subject": "alice",
        "time": f"{month}-15T0{number}:00:00Z", "data": {"service": "shop", "meter": "storage", "quantity": "2.5"},
    } for number in range(1, 4)]
    request = urllib.request.Request(
        f"{around.administration}/api/v1/usage-events", method="POST", data=json.dumps(events).encode(), headers={
            "authorization": f"Bearer {around.token}", "content-type": "application/cloudevents-batch+json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        expect(json.load(response)["stored"] == len(events), "the events are in the books")


def month_before(month):
    year, number = map(int, month.split("-"))
    return f"{year - (number == 1)}-{(number - 2) % 12 + 1:02}"


def bills_shown(page, around):
    page.view("bills")
    page.wait("document.querySelectorAll('[data-key=drafts] tbody tr').length >= 4", "a draft for each consumer")
    page.press("[data-key=drafts] a", "Alice")
    page.wait("document.querySelectorAll('[data-key=lines] tbody tr').length > 0", "the lines of the draft")
    draft = around.api("/bills/alice/current")
    expect(draft["lines"] and draft["currency"] == "EUR", "alice has used something")
    for text in [draft["month"], draft["pricePlan"], draft["id"], "Asia/Shanghai", "EUR"]:
        page.wait_for_text(text, "#main")
    page.wait_for_text(draft["lines"][0]["text"], "[data-key=lines]")
    page.wait_for_text("once it is closed", "[data-key=check]")
    page.screenshot(f"{around.screenshots}/bill.png", is_whole=True)
    expect(page.evaluate("import('/console/format.js').then(f => f.money('-12345678901234567890.10', 'EUR'))")
           == "−12,345,678,901,234,567,890.10 EUR", "an amount keeps all of its digits")


def bill_closed(page, around):
    """A month that is over is closed in the page, by its name, and what can be taken away is there."""
    past = month_before(around.api("/bills/alice/current")["month"])
    report_usage(around, past)
    page.view(f"bills/alice/{past}")
    page.press("#main button", "Close the month")
    expect(page.evaluate("document.querySelector('dialog button.danger').disabled"), "nothing goes without the name")
    bill = around.api(f"/bills/alice/{past}")
    page.type("dialog input:not([type=checkbox])", bill["id"])
    page.press("dialog button.danger")
    page.wait_for_text("it never changes", "#main")
    closed = around.api(f"/bills/alice/{past}")
    expect(closed.get("closedAt") and len(closed["lines"]) == 1, f"closed, with what was counted: {closed}")
    page.view("bills")
    page.press("[data-key=closed] a", closed["id"])
    page.wait_for_text(f"cloudwright verify {closed['id']}.proof.json", "[data-key=check]")
    answers = page.evaluate("""Promise.all([...document.querySelectorAll('#main a.button')].map(async a => {
      const answer = await fetch(a.href);
      return [a.innerText.trim(), answer.status, answer.headers.get('content-type').split(';')[0],
        (await answer.text()).length > 40];
    }))""")
    wanted = [["CSV (FOCUS)", 200, "text/csv", True], ["JSON", 200, "application/json", True],
              ["Page to print", 200, "text/html", True], ["Download the proof", 200, "application/json", True]]
    expect(answers == wanted, f"what can be taken away, not {answers}")


def bill_verified(page, around):
    """Inclusion, consistency, completeness and the figures rated anew, each with what was found, in the page."""
    page.press("[data-key=check] button.primary", "Verify this bill now")
    page.wait_for_text("Proven in full", "[data-key=check] [role=status]", limit=60)
    rows = page.evaluate("[...document.querySelectorAll('[data-key=check] tbody tr')]"
                         ".map(row => [...row.cells].map(cell => cell.innerText.trim()))")
    for kind in ["Inclusion and consistency", "What it was computed from", "The bill that was closed",
                 "Nothing left out", "Rated again"]:
        found = [row for row in rows if row[0].startswith(kind)]
        expect(found, f"a check '{kind}' among {rows}")
        expect(all(row[1] == "proven" for row in found), f"'{kind}' is proven: {found}")
    figures = next(row for row in rows if row[0].startswith("Rated again"))
    expect("1 lines, computed again" in figures[2] and "same bytes" in figures[2], f"the rating anew: {figures}")
    events = [row for row in rows if "usage-events" in row[0] and row[0].startswith("Inclusion")]
    expect(events and "3 of them are here" in events[0][2], f"the three records are included: {rows}")
    page.screenshot(f"{around.screenshots}/bill-verified.png", is_whole=True)


def credit_given(page, around):
    page.view("bills/bob/current")
    page.press("#main button", "Give a credit")
    page.type("dialog input[inputmode=decimal]", "2.50")
    page.type("dialog input[maxlength]", "an outage")
    page.press("dialog button.primary")
    page.wait_for_text("an outage", "[data-key=lines]")
    page.wait_for_text("−2.50 EUR", "[data-key=lines]")
