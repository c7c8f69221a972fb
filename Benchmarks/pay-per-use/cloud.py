"""The program with one service, and the truth of how long its processes lived."""

import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.parse

LEASE = 5.0
DEADLINE = 60.0


class Failure(Exception):
    """Said in one line."""


def eventually(what, condition):
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise Failure(f"{what}: not within {DEADLINE:.0f} s")


class Watcher(threading.Thread):
    """The truth of lifetimes: when processes of the service came and went, as the kernel tells it."""

    def __init__(self, token):
        super().__init__(daemon=True)
        self.token = token.encode()
        self.lives = {}
        self.ignored = set()
        self.stopped = threading.Event()
        self.boot = time.time() - float(open("/proc/uptime").read().split()[0])
        self.tick = os.sysconf("SC_CLK_TCK")

    def run(self):
        while not self.stopped.is_set():
            self.look()
            time.sleep(0.005)

    def look(self):
        now = time.time()
        running = {int(name) for name in os.listdir("/proc") if name.isdigit()}
        for pid in running - self.ignored - set(self.lives):
            try:
                environment = open(f"/proc/{pid}/environ", "rb").read()
                words = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0")
                stat = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if b"MEASURE=" + self.token not in environment or not words[0].endswith(b"sample-service"):
                # It may still be between fork and exec.
                if self.boot + int(stat[19]) / self.tick < now - 2:
                    self.ignored.add(pid)
                continue
            port = int(words[words.index(b"--port") + 1])
            self.lives[pid] = {"start": self.boot + int(stat[19]) / self.tick, "end": None, "port": port}
        for pid, life in self.lives.items():
            if life["end"] is None:
                try:
                    state = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0]
                except OSError:
                    state = "X"
                if state in "ZX":
                    life["end"] = now

    def running(self):
        return [pid for pid, life in self.lives.items() if life["end"] is None]

    def seconds(self, until):
        return sum(max(0.0, (life["end"] or until) - life["start"]) for life in self.lives.values())


class Cloud:
    """The program with one service of two instances, in a directory of its own."""

    def __init__(self, options, directory):
        self.options = options
        self.directory = directory
        self.token = os.path.basename(directory)
        self.file = os.path.join(directory, "cloud.yaml")
        self.announced = os.path.join(directory, "announced.json")
        self.watcher = Watcher(self.token)
        self.process = None
        port = free_port()
        with open(self.file, "w") as file:
            file.write(f"""\
apiVersion: cloudwright/v1
kind: Cloud
metadata: {{name: measure}}
spec:
  dataDirectory: {directory}/data
  gateway: {{listeners: ["127.0.0.1:{port}"], loops: 1}}
  administration: {{address: "127.0.0.1:0"}}
  instanceLease: {LEASE:.0f}s
---
apiVersion: cloudwright/v1
kind: CloudConsumer
metadata: {{name: acme}}
spec: {{}}
---
apiVersion: cloudwright/v1
kind: CloudService
metadata: {{name: shop}}
spec:
  owner: acme
  routes: [{{path: /}}]
  access: anonymous
  process:
    command: [{options.sample_service}, --port, "{{port}}", --instance, "{{instance}}"]
    environment: {{MEASURE: {self.token}}}
  constraints: {{minimumInstances: 2, maximumInstances: 2}}
  healthCheck: {{http: {{path: /healthz}}, interval: 500ms}}
  restart: {{initialBackoff: 100ms}}
""")

    def start(self):
        if os.path.exists(self.announced):
            os.remove(self.announced)
        log = open(os.path.join(self.directory, "log"), "a")
        command = [self.options.cloudwright, "serve", "-f", self.file, "--announce", self.announced]
        token_file = os.path.join(self.directory, "token")
        if not os.path.exists(token_file):
            command += ["--administrator-token-file", token_file]
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        if not self.watcher.is_alive():
            self.watcher.start()
        eventually("the platform serves", lambda: os.path.exists(self.announced) or self.process.poll() is not None)
        if self.process.poll() is not None:
            raise Failure(f"the platform ended: see {self.directory}/log")
        with open(self.announced) as file:
            announced = json.load(file)
        self.gateway = announced["gateway"][0]
        self.administration = announced["administration"]
        self.key = open(token_file).read().strip()
        eventually("both instances are up", lambda: sum(
            1 for one in self.get("/api/v1/instances")["items"] if one["operational"] == "up") == 2)

    def get(self, path):
        url = urllib.parse.urlsplit(self.administration)
        connection = http.client.HTTPConnection(url.netloc, timeout=30)
        connection.request("GET", path, headers={"Authorization": f"Bearer {self.key}"})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        if answer.status != 200:
            raise Failure(f"GET {path}: {answer.status} {body[:300]!r}")
        return json.loads(body)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=60)
        self.watcher.stopped.set()
        self.watcher.join()
        for pid in self.watcher.running():
            os.kill(pid, signal.SIGKILL)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
