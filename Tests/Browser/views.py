"""The views of the console by their addresses, and the way in."""

views = ["overview", "services", "services/classic", "services/classic/scaling", "notifications", "failover",
         "infrastructure", "infrastructure/images", "infrastructure/sizes", "timelines",
         "timelines?mechanism=live-migration", "usage", "bills", "bills/alice/current", "audit", "audit/integrity",
         "consumers", "events", "events?show=operations", "settings", "settings/configuration"]


def drawn(page, view):
    """Opens a view and waits until there is something on it."""
    page.view(view)
    page.wait("document.querySelector('#main .card')", f"{view} to be drawn")


def log_in(page, around):
    page.open(around.administration + "/")
    page.type("input[name=token]", around.token)
    page.press("button.primary")
    page.wait_for_text("Overview", "h1")
