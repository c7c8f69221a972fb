"""The scaling page: why there are as many instances as there are, and the service's own history replayed."""

from surroundings import expect


def scaling_explained(page, around):
    page.view("services/classic")
    page.press(".tabs a", "Scaling")
    page.wait("document.querySelector('[data-key=decisions] tbody tr')", "the decisions")
    decided = around.api("/events?service=classic&kind=scaling.decided&newest=true")["items"]
    expect(decided, "the platform has scaled out")
    for event in decided[-3:]:
        page.wait_for_text(event["details"]["reason"], "[data-key=decisions] tbody")
        page.wait_for_text(f"{event['details']['from']} → {event['details']['to']}", "[data-key=decisions] tbody")
    page.wait_for_text("1 to 4", "[data-key=policy]")
    page.wait_for_text("scaleInStabilisation", "[data-key=policy] pre")
    page.wait("!document.querySelector('[data-key=scaling-chart] .none')", "a chart with something in it")
    page.screenshot(f"{around.screenshots}/scaling.png", is_whole=True)


def history_replayed(page, around):
    """The recommended policy with its cost and its misses, and a chart of the history, from the API's own answer."""
    page.view("services/classic/scaling")
    last = around.api("/events?service=classic&kind=scaling.decided&newest=true&limit=1")["items"][0]["details"]
    page.wait_for_text(f"{last['from']} → {last['to']} instances", "[data-key=last]")
    page.wait_for_text(last["reason"], "[data-key=last]")
    page.press("[data-key=replay] button.primary", "Replay the history")
    page.wait("document.querySelector('[data-key=replay] tbody tr')", "the policies that were tried", limit=60)
    found = around.api("/services/classic/scaling/replay")
    expect(found["requests"] >= 4 and found["points"] and len(found["policies"]) > 50,
           f"the requests of S1 are in the history: {found['requests']} requests, {len(found['points'])} points")
    page.wait_for_text(found["recommended"]["name"], "[data-key=replay] [role=status]")
    page.wait_for_text("times what one who knows the future needs", "[data-key=replay] [role=status]")
    page.wait_for_text("recommended", "[data-key=replay] tbody .pill")
    page.wait_for_text("kind:", "[data-key=replay] pre")
    lines = page.evaluate("[...document.querySelectorAll('[data-key=replay] svg path.line')]"
                          ".map(e => e.getAttribute('d').length)")
    expect(len(lines) == 3 and all(length > 10 for length in lines), f"demand and two supplies are drawn: {lines}")
    page.screenshot(f"{around.screenshots}/scaling-replay.png", is_whole=True)
    page.view("services/ledger/scaling")
    page.press("[data-key=replay] button.primary", "Replay the history")
    page.wait_for_text("Nothing says how much an instance takes", "[data-key=replay]")
