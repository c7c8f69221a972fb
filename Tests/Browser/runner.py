"""Runs tests of pages one after another, in one browser."""

import sys
import time

from browser import Browser, Failure, Page
from surroundings import Surroundings, expect


def main(tests, failure, afterwards=lambda around: None):
    """Runs a program's tests, and `afterwards` where all passed; does not return."""
    around = Surroundings(sys.argv[1])
    if not passed(tests, around, failure):
        sys.exit(1)
    afterwards(around)
    print(f"{len(tests)} passed")
    sys.exit(0)


def passed(tests, around, failure):
    """Whether all went well. Says how long each took; `failure` is the picture of the page where one did not."""
    browser = Browser()
    try:
        page = Page(browser, around.administration)
        for test in tests:
            began = time.monotonic()
            test(page, around)
            expect(not page.errors, f"no error on the console: {page.errors}")
            print(f"{test.__name__.replace('_', ' ')}: {time.monotonic() - began:.1f} s", flush=True)
    except Failure as fault:
        print(f"{test.__name__}: {fault}", flush=True)
        page.screenshot(f"{around.screenshots}/{failure}")
        return False
    finally:
        browser.close()
    return True
