"""The platform that the console's tests look at, and consumers that use it meanwhile."""

import http.client
import json
import os
import threading
import time
import urllib.request

from browser import Failure


class Surroundings:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            values = json.load(file)
        self.administration = values["administration"]
        self.gateway = values["gateway"]
        self.token = values["token"]
        self.keys = values["keys"]
        self.screenshots = values["screenshots"]
        os.makedirs(self.screenshots, exist_ok=True)

    def api(self, path, method="GET", body=None):
        request = urllib.request.Request(
            f"{self.administration}/api/v1{path}", method=method,
              data=None if body is None else json.dumps(body).encode(),
            headers={"authorization": f"Bearer {self.token}", "content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)

    def raw(self, path):
        """An answer that is no JSON document of the API's own."""
        return urllib.request.urlopen(urllib.request.Request(
            f"{self.administration}/api/v1{path}", headers={"authorization": f"Bearer {self.token}"}), timeout=30)

    def call(self, consumer, service, path, method="GET", headers=(), body=None):
        """One request of a consumer through the gateway; the status."""
        connection = http.client.HTTPConnection(self.gateway, timeout=90)
        try:
            fields = {"Host": f"{service}.localhost", **dict(headers)}
            if consumer:
                fields["X-API-Key"] = self.keys[consumer]
            connection.request(method, path, body=body, headers=fields)
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()


class Consumer(threading.Thread):
    """A consumer whose request goes on while the page is looked at."""

    def __init__(self, around, *arguments, **named):
        super().__init__(daemon=True)
        self.work = lambda: around.call(*arguments, **named)
        self.status = None
        self.start()

    def run(self):
        try:
            self.status = self.work()
        except OSError as error:
            self.status = str(error)


def expect(condition, what):
    if not condition:
        raise Failure(f"expected: {what}")


def eventually(condition, what, limit=20):
    deadline = time.monotonic() + limit
    while not condition():
        expect(time.monotonic() < deadline, f"within {limit} s: {what}")
        time.sleep(0.02)
