"""Loads that several of the benchmarks put on a proxy."""

import json
import re
import subprocess

from proxies import Failure


def saturation(options, proxy, seconds):
    """Responses a second to clients that ask again as soon as they are answered."""
    result = subprocess.run(
        ["taskset", "-c", str(options.load_cpu), "wrk", "-t", "1", "-c", str(options.connections),
         "-d", f"{seconds}s", proxy.url("plain")], capture_output=True, text=True, check=False)
    found = re.search(r"Requests/sec:\s*([\d.]+)", result.stdout)
    if result.returncode != 0 or not found:
        raise Failure(f"wrk failed: {result.stdout}{result.stderr}")
    return float(found.group(1))


def ask(options, generator, proxy, rate, seconds):
    """What `openloop`, compiled at `generator`, tells of so many requests a second at even intervals."""
    _, _, rest = proxy.url("plain").partition("127.0.0.1:")
    port, _, path = rest.partition("/")
    result = subprocess.run(
        ["taskset", "-c", str(options.load_cpu), generator, port, f"/{path}", str(rate), str(seconds),
         str(options.connections)], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise Failure(f"openloop failed: {result.stderr}")
    return json.loads(result.stdout)
