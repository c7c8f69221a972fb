import HTTP1

/// Heads as a browser-like client and a common server send them.
private enum Sample {
    static let shortRequest = "GET / HTTP/1.1\r\nHost: localhost:8080\r\nX-API-Key: cw_0123456789abcdef\r\n\r\n"
    static let request = """
        GET /api/v1/items?limit=20&offset=40 HTTP/1.1\r\nHost: shop.example.test\r\n\
        User-Agent: curl/8.5.0 (x86_64-pc-linux-gnu)\r\nAccept: application/json\r\n\
        Accept-Encoding: gzip, deflate, br\r\n\
        Authorization: Bearer cw_0123456789abcdef_0123456789abcdef0123456789abcdef\r\nX-Trace: 7a6f1c\r\n\
        Connection: keep-alive\r\n\r\n
        """
    static let response = """
        HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Mon, 24 Nov 2025 10:00:00 GMT\r\n\
        Content-Type: application/octet-stream\r\nContent-Length: 1024\r\n\
        Last-Modified: Mon, 24 Nov 2025 09:00:00 GMT\r\nConnection: keep-alive\r\nETag: "69242f3c-400"\r\n\
        Accept-Ranges: bytes\r\n\r\n
        """
    static let chunk = "400\r\n" + String(repeating: "x", count: 1024) + "\r\n"
    static let chunks = String(repeating: chunk, count: 16) + "0\r\n\r\n"
}

/// Memory that is never released: the program ends soon.
private func memory(_ text: String) -> UnsafeRawBufferPointer {
    let octets = UnsafeMutableRawBufferPointer.allocate(byteCount: text.utf8.count, alignment: 8)
    octets.copyBytes(from: text.utf8)
    return UnsafeRawBufferPointer(octets)
}

/// Prints the best time of one call. `body` gives a number that must not be zero: the work was done.
private func measure(_ name: String, _ count: Int, _ octets: Int, _ body: () -> Int) {
    var best = Duration.seconds(1_000)
    for _ in 0..<7 {
        var sum = 0
        let time = ContinuousClock().measure { for _ in 0..<count { sum &+= body() } }
        precondition(sum >= count, "\(name) did nothing")
        best = min(best, time)
    }
    let tenths = best.components.attoseconds / 100_000_000 / Int64(count)
    let padded = name + String(repeating: " ", count: max(0, 24 - name.count))
    print("\(padded) \(octets) octets  \(tenths / 10).\(tenths % 10) ns")
}

@main
struct Measure {
    static func main() {
        let output = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 8)
        requests(output)
        responses(output)
        let chunks = memory(Sample.chunks)
        measure("read chunked body", 100_000, chunks.count) {
            var reader = BodyReader(.chunked)
            return reader.read(chunks).consumed
        }
    }

    private static func requests(_ output: UnsafeMutableRawBufferPointer) {
        var head = RequestHead()
        for (name, text) in [("parse short request", Sample.shortRequest), ("parse request", Sample.request)] {
            let octets = memory(text)
            measure(name, 1_000_000, octets.count) {
                head.reset()
                if case .complete(let length) = head.parse(octets) { return length }
                return 0
            }
        }
        let octets = memory(Sample.request)
        head.reset()
        guard case .complete = head.parse(octets) else { preconditionFailure("the sample is no request") }
        var forwarding = RequestForwarding(
            clientAddress: memory("192.0.2.77"), requestID: memory("01hzy3k9m2q4r6t8v0x1z3b5d7"))
        forwarding.removesAuthorization = true
        measure("write request", 1_000_000, octets.count) { head.write(forwarding, from: octets, to: output) ?? 0 }
    }

    private static func responses(_ output: UnsafeMutableRawBufferPointer) {
        var head = ResponseHead()
        let octets = memory(Sample.response)
        measure("parse response", 1_000_000, octets.count) {
            head.reset()
            if case .complete(let length) = head.parse(octets, answering: .get) { return length }
            return 0
        }
        var forwarding = ResponseForwarding(requestVersion: .http11, requestMethod: .get, keepsAlive: true)
        forwarding.requestID = memory("01hzy3k9m2q4r6t8v0x1z3b5d7")
        measure("write response", 1_000_000, octets.count) { head.write(forwarding, from: octets, to: output) ?? 0 }
    }
}
