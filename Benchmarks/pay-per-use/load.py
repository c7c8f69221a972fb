"""Requests whose number and answers are known."""

import http.client
import socket
import threading
import time


class Load:
    """Known requests over a few connections: what a consumer counts of what it was given."""

    def __init__(self, address, count, connections=4):
        self.address = address
        self.count = count
        self.lock = threading.Lock()
        self.next = 0
        self.answered = 0
        self.body_bytes = 0
        self.unanswered = 0
        self.latencies = []
        self.threads = [threading.Thread(target=self.work) for _ in range(connections)]

    def run(self):
        self.begin()
        self.join()
        return self

    def begin(self):
        for thread in self.threads:
            thread.start()

    def join(self):
        for thread in self.threads:
            thread.join()

    def work(self):
        connection = None
        while True:
            with self.lock:
                if self.next >= self.count:
                    break
                number = self.next
                self.next += 1
            path = ("/", "/bytes?n=5000", "/hold?ms=5")[number % 3]
            try:
                if connection is None:
                    connection = http.client.HTTPConnection(self.address, timeout=30)
                    connection.connect()
                    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                begin = time.perf_counter()
                connection.request("GET", path)
                answer = connection.getresponse()
                body = answer.read()
                took = time.perf_counter() - begin
            except (OSError, http.client.HTTPException):
                connection = None
                with self.lock:
                    self.unanswered += 1
                time.sleep(0.005)
                continue
            with self.lock:
                if answer.status == 200 and answer.getheader("x-instance"):
                    self.answered += 1
                    self.body_bytes += len(body)
                    self.latencies.append(took)
                else:
                    self.unanswered += 1
