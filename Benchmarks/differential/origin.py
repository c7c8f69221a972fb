"""A server that writes down what arrives, read as strictly as RFC 9112 allows, and what in it others could read
differently."""

import re
import socket
import threading

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


class Message:
    """One request as it arrived."""

    def __init__(self, method, target, framing, oddities):
        self.method = method
        self.target = target
        # `none`, `length` or `chunked`, with the octets of the payload.
        self.framing = framing
        self.body = 0
        self.oddities = oddities

    def __str__(self):
        text = f"{self.method} {self.target[:24]} {self.framing}"
        text += f"({self.body})" if self.framing != "none" else ""
        return text + (f" ODD: {', '.join(self.oddities)}" if self.oddities else "")


class Origin:
    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.messages = []
        self.connections = {}
        # Messages that were broken off with their connection: nobody takes them for whole.
        self.cut = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            with self.lock:
                self.connections[connection] = b""
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def begin(self):
        """Forgets all, connections included, so that no case sees what another left."""
        with self.lock:
            self.messages = []
            self.cut = 0
            connections = list(self.connections)
            self.connections = {}
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def seen(self):
        """The whole messages, how many were broken off, and octets that began one on a connection that goes on."""
        with self.lock:
            return list(self.messages), self.cut, sum(len(rest) for rest in self.connections.values())

    def serve(self, connection):
        buffer = b""
        try:
            while True:
                data = connection.recv(65536)
                if not data:
                    break
                buffer = self.take(connection, buffer + data)
                with self.lock:
                    if connection in self.connections:
                        self.connections[connection] = buffer
        except OSError:
            pass
        with self.lock:
            if self.connections.pop(connection, b""):
                self.cut += 1
        connection.close()

    def take(self, connection, buffer):
        """Answers every whole message; gives back what is left."""
        while True:
            read = read_message(buffer)
            if read is None:
                return buffer
            message, length = read
            buffer = buffer[length:]
            with self.lock:
                self.messages.append(message)
            connection.sendall(ANSWER)


def read_message(buffer):
    """The first message and its octets; None where it is not whole."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = buffer[:end]
    lines = head.split(b"\r\n")
    oddities = []
    if b"\n" in head.replace(b"\r\n", b"") or b"\r" in head.replace(b"\r\n", b"") or b"\0" in head:
        oddities.append("bare CR, LF or NUL")
    parts = lines[0].split(b" ")
    if len(parts) != 3 or not re.fullmatch(rb"HTTP/1\.[01]", parts[2]):
        oddities.append("request line")
        parts = (parts + [b"", b""])[:3]
    lengths, codings, hosts = [], [], 0
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not TOKEN.fullmatch(name):
            oddities.append(f"field line {line[:20]!r}")
        lower = name.strip().lower()
        if lower.replace(b"_", b"-") in (b"content-length", b"transfer-encoding") and b"_" in lower:
            oddities.append("disguised framing field")
        if lower == b"content-length":
            lengths.append(value.strip())
        elif lower == b"transfer-encoding":
            codings.append(value.strip().lower())
        elif lower == b"host":
            hosts += 1
    if hosts != 1:
        oddities.append(f"{hosts} Host fields")
    if len(lengths) > 1 or any(not re.fullmatch(rb"[0-9]+", length) for length in lengths):
        oddities.append("Content-Length")
    if codings and codings != [b"chunked"]:
        oddities.append("Transfer-Encoding")
    if lengths and codings:
        oddities.append("two framings")
    framing = "chunked" if codings else "length" if lengths else "none"
    message = Message(parts[0].decode("latin-1"), parts[1].decode("latin-1"), framing, oddities)
    start = end + 4
    if framing == "none":
        return message, start
    if framing == "length":
        digits = re.match(rb"[0-9]{0,12}", lengths[0])
        message.body = int(digits.group() or b"0")
        return (message, start + message.body) if len(buffer) >= start + message.body else None
    return read_chunks(buffer, start, message)


def read_chunks(buffer, position, message):
    while True:
        end = buffer.find(b"\r\n", position)
        if end < 0:
            return None
        size = re.fullmatch(rb"([0-9A-Fa-f]{1,8})(;[^\r\n]*)?", buffer[position:end])
        if not size:
            message.oddities.append(f"chunk size {buffer[position:end][:12]!r}")
            return message, len(buffer)
        octets = int(size.group(1), 16)
        position = end + 2
        if octets == 0:
            break
        if len(buffer) < position + octets + 2:
            return None
        if buffer[position + octets:position + octets + 2] != b"\r\n":
            message.oddities.append("end of a chunk")
            return message, len(buffer)
        message.body += octets
        position += octets + 2
    while True:
        end = buffer.find(b"\r\n", position)
        if end < 0:
            return None
        if end == position:
            return message, end + 2
        position = end + 2
