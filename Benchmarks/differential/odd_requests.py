"""Odd requests: where proxies and servers are known to read one stream of octets in different ways.

Each is a name and the octets that one connection gets. Most are in the list of RFC 9112 section 11.2 and of the reports
on request smuggling; `{}` is the path that the proxies pass on.
"""

PATH = b"/plain"


def request(line=b"GET {} HTTP/1.1", *fields, body=b"", host=b"Host: a"):
    lines = [line] + ([host] if host else []) + list(fields)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


CHUNKED = b"Transfer-Encoding: chunked"
WHOLE = b"3\r\nabc\r\n0\r\n\r\n"
SMUGGLED = b"GET {}/smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST {} HTTP/1.1"

REQUESTS = [
    ("plain GET", request()),
    ("POST with length", request(POST, b"Content-Length: 3", body=b"abc")),
    ("POST in chunks", request(POST, CHUNKED, body=WHOLE)),
    ("length, then chunked", request(POST, b"Content-Length: 4", CHUNKED, body=WHOLE + SMUGGLED)),
    ("chunked, then length", request(POST, CHUNKED, b"Content-Length: 5", body=b"0\r\n\r\n" + SMUGGLED)),
    ("two equal lengths", request(POST, b"Content-Length: 3", b"Content-Length: 3", body=b"abc")),
    ("two lengths that differ", request(POST, b"Content-Length: 0", b"Content-Length: 3", body=b"abc")),
    ("a list of lengths", request(POST, b"Content-Length: 3, 3", body=b"abc")),
    ("length +3", request(POST, b"Content-Length: +3", body=b"abc")),
    ("length -1", request(POST, b"Content-Length: -1", body=b"abc")),
    ("length 0x3", request(POST, b"Content-Length: 0x3", body=b"abc")),
    ("length 1_0", request(POST, b"Content-Length: 1_0", body=b"abcdefghij")),
    ("length beyond 64 bits", request(POST, b"Content-Length: 18446744073709551619", body=b"abc")),
    ("an empty length", request(POST, b"Content-Length: ", body=b"abc")),
    ("length with _", request(POST, b"Content_Length: 3", body=b"")),
    ("space before the colon", request(POST, b"Content-Length : 3", body=b"abc")),
    ("tab before the colon", request(POST, b"Transfer-Encoding\t: chunked", body=WHOLE)),
    ("coding with a leading tab", request(POST, b"Transfer-Encoding:\tchunked", body=WHOLE)),
    ("coding with a vertical tab", request(POST, b"Transfer-Encoding: \x0bchunked", b"Content-Length: 3", body=b"abc")),
    ("coding xchunked", request(POST, b"Transfer-Encoding: xchunked", b"Content-Length: 3", body=b"abc")),
    ("coding identity", request(POST, b"Transfer-Encoding: identity", b"Content-Length: 3", body=b"abc")),
    ("coding gzip, chunked", request(POST, b"Transfer-Encoding: gzip, chunked", body=WHOLE)),
    ("coding chunked twice", request(POST, b"Transfer-Encoding: chunked, chunked", body=WHOLE)),
    ("two coding fields", request(POST, CHUNKED, b"Transfer-Encoding: identity", body=WHOLE)),
    ("coding CHUNKED", request(POST, b"Transfer-Encoding: CHUNKED", body=WHOLE)),
    ("coding in HTTP/1.0", request(b"POST {} HTTP/1.0", CHUNKED, body=WHOLE)),
    ("coding folded", request(POST, b"Transfer-Encoding:\r\n chunked", body=WHOLE)),
    ("a folded field", request(b"GET {} HTTP/1.1", b"X-A: b\r\n c")),
    ("space before the first field", request(b"GET {} HTTP/1.1", host=b" Host: a")),
    ("bare LF as line end", b"GET {} HTTP/1.1\nHost: a\n\n"),
    ("bare LF in a field", request(b"GET {} HTTP/1.1", b"X-A: b\nX-B: c")),
    ("bare CR in a field", request(b"GET {} HTTP/1.1", b"X-A: b\rX-B: c")),
    ("NUL in a field", request(b"GET {} HTTP/1.1", b"X-A: b\x00c")),
    ("chunk size with 0x", request(POST, CHUNKED, body=b"0x3\r\nabc\r\n0\r\n\r\n")),
    ("chunk size with space", request(POST, CHUNKED, body=b"3 \r\nabc\r\n0\r\n\r\n")),
    ("chunk size beyond 64 bits", request(POST, CHUNKED, body=b"10000000000000003\r\nabc\r\n0\r\n\r\n")),
    ("chunk size -1", request(POST, CHUNKED, body=b"-1\r\nabc\r\n0\r\n\r\n")),
    ("chunk ended by bare LF", request(POST, CHUNKED, body=b"3\nabc\n0\n\n")),
    ("chunk longer than its size", request(POST, CHUNKED, body=b"3\r\nabcde\r\n0\r\n\r\n")),
    ("chunk extension", request(POST, CHUNKED, body=b'3;a="b;c"\r\nabc\r\n0\r\n\r\n')),
    ("chunk extension with bare LF", request(POST, CHUNKED, body=b"3;a\nb\r\nabc\r\n0\r\n\r\n")),
    ("trailer with a length", request(POST, CHUNKED, body=b"3\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n")),
    ("two Host fields", request(b"GET {} HTTP/1.1", b"Host: b")),
    ("no Host", request(host=None)),
    ("Host with a path", request(host=b"Host: a/b")),
    ("absolute target, other Host", request(b"GET http://b{} HTTP/1.1")),
    ("target with a space", request(b"GET {}/a b HTTP/1.1")),
    ("version HTTP/1.10", request(b"GET {} HTTP/1.10")),
    ("version http/1.1", request(b"GET {} http/1.1")),
    ("two spaces in the request line", request(b"GET  {} HTTP/1.1")),
    ("GET with a body", request(b"GET {} HTTP/1.1", b"Content-Length: 38", body=b"GET /plain/x HTTP/1.1\r\nHost: a\r\n\r\nabcde")),
    ("Connection lists Content-Length", request(POST, b"Connection: Content-Length", b"Content-Length: 3", body=b"abc")),
    ("upgrade to h2c", request(b"GET {} HTTP/1.1", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c",
                               b"HTTP2-Settings: AAMAAABkAAQAAP__")),
    ("method with a bracket", request(b"G(ET {} HTTP/1.1")),
    ("a field without a name", request(b"GET {} HTTP/1.1", b": a")),
    ("a line without a colon", request(b"GET {} HTTP/1.1", b"abc")),
]

REQUESTS = [(name, octets.replace(b"{}", PATH)) for name, octets in REQUESTS]
