"""How each proxy is configured for the jobs, started, and asked for its processor time.

Every proxy runs in one process (plus what it needs beside it) on one processor, with one event loop, and serves
each job at an address of its own:

  plain   pass the request on and the response back
  duties  know the caller by an API key out of 100, refuse others, admit the request by limits (in flight for each
          instance and caller, a second for each caller) that nobody comes near to, count it and its octets for the
          caller, look whether it is a login that is to be audited, and record it: who, what, status, octets, time
  tls     what `plain` does, to clients over TLS 1.3
  http2   what `plain` does, to clients that speak HTTP/2 in clear with prior knowledge
  empty, 64k, 10m
          what `plain` does, with responses of other sizes
"""

import contextlib
import hashlib
import json
import os
import random
import socket
import sqlite3
import subprocess
import time
import zlib

# Octets of the responses' bodies; 1024 with the other jobs.
BODIES = {"empty": 0, "64k": 65536, "10m": 10 * 1024 * 1024}
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


# What the job `duties` has a service do besides, in cloudwright's words.
LIMITS = ("concurrentRequestsPerInstance: 256, concurrentRequestsPerConsumer: 64, "
          "requestsPerSecondPerConsumer: 1000000, burstPerConsumer: 1000000")
CLOUDWRIGHT_DUTIES = """  loginRules: [{path: /duties/login, principal: basic}]
"""


class Failure(Exception):
    """Something that a person has to mend."""


def make_keys(count, seed):
    """API keys of cloudwright's form: a name, a secret and a checksum (CRC-32) in Crockford's base 32."""
    generator = random.Random(seed)
    keys = []
    for _ in range(count):
        name = "".join(generator.choice(ALPHABET) for _ in range(8))
        secret = "".join(generator.choice(ALPHABET) for _ in range(32))
        text = f"cw_{name}_{secret}"
        checksum = zlib.crc32(text.encode())
        keys.append(text + "".join(ALPHABET[checksum >> (25 - 5 * place) & 31] for place in range(6)))
    return keys


def make_certificate(directory):
    """A self-signed certificate (P-256) that every proxy shows: certificate, key, and both in one file."""
    certificate, key, both = (os.path.join(directory, name) for name in ("tls.crt", "tls.key", "tls.pem"))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-keyout", key, "-out", certificate], check=True, capture_output=True)
    os.chmod(key, 0o600)
    with open(both, "w", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        for part in (certificate, key):
            with open(part, encoding="ascii") as source:
                file.write(source.read())
    return certificate, key, both


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, ready, process, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not ready():
        if process.poll() is not None:
            raise Failure(f"{what} ended with status {process.returncode} instead of serving")
        if time.monotonic() > deadline:
            raise Failure(f"{what} did not serve within {seconds:.0f} s")
        time.sleep(0.05)


def answers(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def processor_times(process_ids):
    """User and system seconds that these processes have used, ended threads included."""
    user = system = 0
    for process_id in process_ids:
        with open(f"/proc/{process_id}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        user += int(fields[11])
        system += int(fields[12])
    return user / TICKS_PER_SECOND, system / TICKS_PER_SECOND


def resident(process_ids):
    """Octets of anonymous memory: what the processes hold for themselves; files and shared pages are left out."""
    total = 0
    for process_id in process_ids:
        with open(f"/proc/{process_id}/status", encoding="ascii") as file:
            total += sum(1024 * int(line.split()[1]) for line in file if line.startswith("RssAnon:"))
    return total


def thread_times(process_id, name):
    """Seconds that the threads with this name prefix have used, to the nanosecond."""
    total = 0
    for thread in os.listdir(f"/proc/{process_id}/task"):
        try:
            with open(f"/proc/{process_id}/task/{thread}/comm", encoding="utf-8") as file:
                if not file.read().startswith(name):
                    continue
            with open(f"/proc/{process_id}/task/{thread}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
        except FileNotFoundError:
            continue
    return total / 1e9


def children(process_id):
    with open(f"/proc/{process_id}/task/{process_id}/children", encoding="ascii") as file:
        return [int(child) for child in file.read().split()]


def compiled(directory, name):
    """The program made of a source beside this file."""
    program = os.path.join(directory, name)
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{name}.c")
    if not os.path.exists(program):
        subprocess.run(["cc", "-O2", "-o", program, source], check=True)
    return program


def start_backends(directory, cpu, count=2, body=1024, delay=0):
    """Backends whose responses have bodies of so many octets and come so many microseconds after their requests."""
    command = ["taskset", "-c", str(cpu), compiled(directory, "backend"), str(body), str(delay)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    return processes, [int(process.stdout.readline()) for process in processes]


class Proxy:
    """A proxy under test."""

    name = ""
    program = ""
    remedy = ""
    jobs = ("plain", "duties", "tls", "http2", *BODIES)
    # How many a peer may have, where it has to be told; cloudwright goes by the files that its process may have.
    connections = 4096

    def __init__(self, directory, cpu):
        self.certificate, self.key, self.certificate_and_key = (
            os.path.join(directory, name) for name in ("tls.crt", "tls.key", "tls.pem"))
        self.directory = os.path.join(directory, self.name)
        os.makedirs(self.directory)
        self.cpu = cpu
        self.process = None

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def launch(self, command):
        with open(self.path("output.log"), "wb") as log:
            self.process = subprocess.Popen(
                ["taskset", "-c", str(self.cpu), *command], stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def output(self):
        with open(self.path("output.log"), encoding="utf-8", errors="replace") as file:
            return file.read()[-2000:]

    def start(self, backends, keys):
        """`backends`: ports of backends by job; a job with bodies of its own has to have its own, the others share
        those of `plain`. A list is those of `plain` alone, and then there are no jobs with other bodies."""
        if not isinstance(backends, dict):
            backends = {"plain": backends}
        self.jobs = tuple(job for job in self.jobs if job not in BODIES or job in backends)
        self.begin(backends, keys)

    def begin(self, backends, keys):
        raise NotImplementedError

    def url(self, job):
        return f"{'https' if job == 'tls' else 'http'}://127.0.0.1:{self.ports[job]}/{job}"

    def measured_processes(self):
        return [self.process.pid, *children(self.process.pid)]

    def path_seconds(self):
        """Of what is on the path of requests and makes their records durable, where it can be told from the rest of the
        process."""
        return None

    def version(self):
        return ""

    def records(self):
        """Requests of the job `duties` that were recorded; after the proxy has stopped."""
        with open(self.path("usage.log"), "rb") as file:
            return sum(1 for _ in file)

    def stop(self):
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Floor(Proxy):
    """A loop that only passes octets: the kernel's share of any proxy."""

    name = "floor"
    jobs = ("plain", "duties", *BODIES)

    def begin(self, backends, keys):
        """A shuttle for each job with backends of its own: it does not read what is asked for."""
        self.shuttles, self.ports = [], {}
        for job, ports in backends.items():
            self.launch([compiled(self.directory, "shuttle"), *map(str, ports)])
            wait_for(self.name, lambda: self.output().endswith("\n"), self.process)
            self.shuttles.append(self.process)
            self.ports[job] = int(self.output())

    def url(self, job):
        return f"http://127.0.0.1:{self.ports.get(job, self.ports['plain'])}/{job}"

    def measured_processes(self):
        return [shuttle.pid for shuttle in self.shuttles]

    def stop(self):
        for self.process in getattr(self, "shuttles", []):
            super().stop()

    def version(self):
        return "octets passed on unread"


class Cloudwright(Proxy):
    name = "cloudwright"
    remedy = "build it with `swift build -c release --product cloudwright`, or name it with --cloudwright"

    # Of each service, instead of the usual ones: what `spec.constraints` has between its braces.
    constraints = ""

    def __init__(self, directory, cpu, program):
        super().__init__(directory, cpu)
        self.program = program
        self.address = self.tls_address = ""

    def begin(self, backends, keys):
        documents = [f"""
apiVersion: cloudwright/v1
kind: Cloud
metadata: {{name: benchmark}}
spec:
  dataDirectory: {self.path('data')}
  gateway:
    loops: 1
    listeners:
      - '127.0.0.1:0'
      - address: '127.0.0.1:0'
        tls:
          minimumVersion: '1.3'
          certificates: [{{certificateFile: {self.certificate}, keyFile: {self.key}}}]
  administration: {{address: '127.0.0.1:0'}}
"""]
        for job in ("plain", "duties", *(job for job in BODIES if job in backends)):
            access = "required" if job == "duties" else "anonymous"
            duties = CLOUDWRIGHT_DUTIES if job == "duties" else ""
            endpoints = ", ".join(f"'127.0.0.1:{port}'" for port in backends.get(job, backends["plain"]))
            documents.append(f"""
apiVersion: cloudwright/v1
kind: CloudService
metadata: {{name: {job}}}
spec:
  routes: [{{path: /{job}}}]
  access: {access}
  endpoints: [{endpoints}]
  loadBalancing: {{algorithm: round-robin, slowStart: 0s}}
  constraints: {{{self.constraints or (duties and LIMITS)}}}
{duties}""")
        for place, key in enumerate(keys):
            digest = hashlib.sha256(key.encode()).hexdigest()
            documents.append(f"""
apiVersion: cloudwright/v1
kind: CloudConsumer
metadata: {{name: consumer-{place}}}
spec:
  credentials: [{{id: key-{place}, prefix: {key[:11]}, digest: {digest}}}]
""")
        configuration = self.write("cloud.yaml", "---".join(documents))
        announcement = self.path("announcement.json")
        self.launch([
            self.program, "serve", "-f", configuration, "--announce", announcement, "--log-level", "warning",
            "--administrator-token-file", self.path("token"), "--drain-seconds", "2"])
        wait_for(self.name, lambda: os.path.exists(announcement), self.process)
        with open(announcement, encoding="utf-8") as file:
            self.address, self.tls_address = json.load(file)["gateway"]

    def url(self, job):
        if job == "tls":
            return f"https://{self.tls_address}/plain"
        return f"http://{self.address}/{'plain' if job == 'http2' else job}"

    def path_seconds(self):
        return thread_times(self.process.pid, "gateway")

    def records(self):
        with contextlib.closing(sqlite3.connect(self.path("data/log.sqlite"))) as database:
            return database.execute("SELECT count(*) FROM usage WHERE service = 'duties'").fetchone()[0]

    def version(self):
        return subprocess.run([self.program, "--version"], capture_output=True, text=True, check=False).stdout.strip()
