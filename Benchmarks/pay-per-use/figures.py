"""Figures of one run: what happened, and what the books say of it."""

import os
import shutil
import statistics
import tempfile
import time

from cloud import Cloud, DEADLINE, Failure
from load import Load


def books(cloud):
    """What both agents say, once nothing changes any more."""
    last = None
    stable = 0
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        report = cloud.get("/api/v1/usage")
        figures = [(one["requests"], one["bytesOut"]) for one in report["monitoringAgent"]]
        stable = stable + 1 if figures == last else 0
        last = figures
        if stable >= 5:
            return report, time.time()
        time.sleep(0.1)
    raise Failure("the books do not come to rest")


def measure(options, name, fault):
    directory = tempfile.mkdtemp(prefix="measure-")
    cloud = Cloud(options, directory)
    try:
        cloud.start()
        load = Load(cloud.gateway, options.requests)
        special = fault(cloud, load)
        report, until = books(cloud)
        monitored = [one for one in report["monitoringAgent"] if one.get("instance")]
        recorded = sum(one["requests"] - one["rejected"] - one["failed"] for one in monitored)
        held = sum(one["runningMicroseconds"] for one in report["resourceAgent"]) / 1e6
        truth = cloud.watcher.seconds(until)
        extra = special.get("aborted", 0)
        return {
            "fault": name, "served": load.answered + extra, "recorded": recorded,
            "past": special.get("past", 0), "aborted": sum(one["aborted"] for one in monitored),
            "gained": recorded - load.answered - extra, "truth": truth, "held": held,
            "busy": sum(one["busyMicroseconds"] for one in monitored) / 1e6,
            "anomalies": sorted({one["kind"] for one in report["anomalies"]}),
            "findings": sorted({one["finding"] for one in report["sideBySide"]}),
        }
    finally:
        cloud.stop()
        shutil.rmtree(directory, ignore_errors=True)


def processor_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def size(directory):
    return sum(os.path.getsize(os.path.join(path, name)) for path, _, names in os.walk(directory) for name in names)


def overhead(options):
    directory = tempfile.mkdtemp(prefix="measure-")
    cloud = Cloud(options, directory)
    try:
        cloud.start()
        life = next(life for life in cloud.watcher.lives.values() if life["end"] is None)
        direct = Load(f"127.0.0.1:{life['port']}", options.overhead_requests, 1)
        through = Load(cloud.gateway, options.overhead_requests, 1)
        Load(cloud.gateway, 200).run()
        time.sleep(10)
        before = processor_seconds(cloud.process.pid)
        begin = time.monotonic()
        time.sleep(10)
        idle = (processor_seconds(cloud.process.pid) - before) / (time.monotonic() - begin)
        direct.run()
        before, bytes_before = processor_seconds(cloud.process.pid), size(os.path.join(directory, "data"))
        begin = time.monotonic()
        through.run()
        books(cloud)
        used = processor_seconds(cloud.process.pid) - before - idle * (time.monotonic() - begin)
        cloud.process.terminate()
        cloud.process.wait(timeout=60)
        grown = os.path.getsize(os.path.join(directory, "data", "log.sqlite"))
        return {
            "idle_percent": idle * 100, "microseconds_per_request": used * 1e6 / options.overhead_requests,
            "bytes_per_request": grown / (options.overhead_requests + 200),
            "direct": percentiles(direct.latencies), "through": percentiles(through.latencies),
        }
    finally:
        cloud.stop()
        shutil.rmtree(directory, ignore_errors=True)


def percentiles(latencies):
    quick = sorted(latencies)
    # A third of the requests is held for 5 ms by the service itself.
    quick = [one for one in quick if one < 0.004] or quick
    cut = statistics.quantiles(quick, n=100)
    return {"median": cut[49] * 1e6, "p99": cut[98] * 1e6}
