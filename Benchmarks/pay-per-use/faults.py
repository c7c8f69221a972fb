"""The faults. Each is given the cloud and the load, and gives back what it did past the load."""

import os
import signal
import socket
import sqlite3
import time

from cloud import LEASE
from load import Load


def none(cloud, load):
    load.run()
    return {}


def instance_crash(cloud, load):
    load.begin()
    time.sleep(0.3)
    os.kill(cloud.watcher.running()[0], signal.SIGKILL)
    load.join()
    time.sleep(1.5)
    return {}


def platform_crash(cloud, load):
    load.begin()
    time.sleep(0.3)
    cloud.kill()
    time.sleep(2)
    cloud.start()
    load.join()
    return {}


def lost_stop(cloud, load):
    load.run()
    time.sleep(1)
    cloud.kill()
    time.sleep(1)
    os.kill(cloud.watcher.running()[0], signal.SIGKILL)
    time.sleep(3)
    cloud.start()
    return {}


def lost_stop_past_the_lease(cloud, load):
    load.run()
    time.sleep(1)
    cloud.kill()
    time.sleep(LEASE + 3)
    os.kill(cloud.watcher.running()[0], signal.SIGKILL)
    time.sleep(1)
    cloud.start()
    return {}


def locked_database(cloud, load):
    load.begin()
    time.sleep(0.3)
    other = sqlite3.connect(os.path.join(cloud.directory, "data", "log.sqlite"), timeout=30, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    time.sleep(8)
    other.execute("ROLLBACK")
    other.close()
    load.join()
    # Heartbeats waited as well; the next one says that the instances never stopped.
    time.sleep(LEASE + 1)
    return {}


def aborted_streams(cloud, load):
    load.run()
    host, port = cloud.gateway.rsplit(":", 1)
    for _ in range(100):
        with socket.create_connection((host, int(port)), timeout=30) as one:
            one.sendall(b"GET /bytes?n=5000000 HTTP/1.1\r\nhost: x\r\n\r\n")
            one.recv(20_000)
    return {"aborted": 100}


def bypass(cloud, load):
    load.run()
    life = next(life for life in cloud.watcher.lives.values() if life["end"] is None)
    past = Load(f"127.0.0.1:{life['port']}", 500).run()
    return {"past": past.answered}


def background_work(cloud, load):
    load.run()
    time.sleep(5)
    return {}


FAULTS = [
    ("none", none), ("instance killed under load", instance_crash), ("platform killed under load", platform_crash),
    ("stop lost while the platform was away", lost_stop),
    ("stop lost after the lease had run out", lost_stop_past_the_lease),
    ("log database locked for 8 s under load", locked_database),
    ("consumers leave halfway (100)", aborted_streams), ("requests past the gateway (500)", bypass),
    ("five seconds without requests", background_work),
]
