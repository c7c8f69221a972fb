import HTTP1
import Testing

/// Heads as they are written for the other side.
@Suite struct ForwardingTests {
    /// Parses and writes a request; `adjust` changes how.
    private func forward(_ text: String, _ adjust: (inout RequestForwarding) -> Void = { _ in }) -> String? {
        withExactMemory(Array(text.utf8)) { buffer in
            var head = RequestHead()
            guard case .complete = head.parse(buffer) else { return nil }
            return withExactMemory(Array("192.0.2.7".utf8)) { address in
                withExactMemory(Array("id-1".utf8)) { id in
                    var forwarding = RequestForwarding(clientAddress: address, requestID: id)
                    adjust(&forwarding)
                    let octets = withWritableMemory(4096) { memory in
                        head.write(forwarding, from: buffer, to: memory).map { Array(memory[..<$0]) }
                    }
                    checkSize(octets?.count) { head.write(forwarding, from: buffer, to: $0) }
                    return octets.map { String(decoding: $0, as: UTF8.self) }
                }
            }
        }
    }

    /// Exactly enough memory suffices, less never does.
    private func checkSize(_ needed: Int?, _ write: (UnsafeMutableRawBufferPointer) -> Int?) {
        guard let needed else { return }
        for size in 0...needed {
            #expect(withWritableMemory(size) { write($0) } == (size < needed ? nil : needed))
        }
    }

    private func answer(
        _ text: String, to method: RequestMethod = .get, _ version: HTTPVersion = .http11, keepsAlive: Bool = true,
        date: String = "", id: String = ""
    ) -> (text: String?, framing: ClientFraming?) {
        withExactMemory(Array(text.utf8)) { buffer in
            var head = ResponseHead()
            guard case .complete = head.parse(buffer, answering: method) else { return (nil, nil) }
            return withExactMemory(Array(date.utf8)) { date in
                withExactMemory(Array(id.utf8)) { id in
                    var forwarding = ResponseForwarding(
                        requestVersion: version, requestMethod: method, keepsAlive: keepsAlive)
                    forwarding.date = date
                    forwarding.requestID = id
                    let octets = withWritableMemory(4096) { memory in
                        head.write(forwarding, from: buffer, to: memory).map { Array(memory[..<$0]) }
                    }
                    checkSize(octets?.count) { head.write(forwarding, from: buffer, to: $0) }
                    return (octets.map { String(decoding: $0, as: UTF8.self) }, head.clientFraming(forwarding))
                }
            }
        }
    }

    @Test("a plain request")
    func plainRequest() {
        let text = "GET /a?b HTTP/1.1\r\nUser-Agent: x\r\nHost: example.test\r\nAccept: */*\r\n\r\n"
        #expect(
            forward(text) == """
                GET /a?b HTTP/1.1\r\nhost: example.test\r\nUser-Agent: x\r\nAccept: */*\r\n\
                x-forwarded-for: 192.0.2.7\r\nx-forwarded-proto: http\r\nx-forwarded-host: example.test\r\n\
                via: 1.1 cloudwright\r\nx-request-id: id-1\r\n\r\n
                """)
    }

    @Test("16, 17: what concerns one connection only is not passed on")
    func hopByHop() throws {
        let text = """
            POST http://other.test/p HTTP/1.1\r\nHost: example.test\r\nConnection: close, x-one\r\nX-One: 1\r\n\
            Keep-Alive: 5\r\nProxy-Connection: a\r\nProxy-Authorization: secret\r\nX-API-Key: secret\r\nTE: gzip\r\n\
            Upgrade: foo\r\nTrailer: X\r\nX_Forwarded_For: 1\r\nX-Two: 2\r\nContent-Length: 3, 03\r\n\r\n
            """
        let forwarded = try #require(forward(text))
        #expect(
            forwarded == """
                POST /p HTTP/1.1\r\nhost: other.test\r\nX-Two: 2\r\ncontent-length: 3\r\n\
                x-forwarded-for: 192.0.2.7\r\nx-forwarded-proto: http\r\nx-forwarded-host: other.test\r\n\
                via: 1.1 cloudwright\r\nx-request-id: id-1\r\n\r\n
                """)
    }

    @Test(
        "targets",
        arguments: [
            ("GET http://h HTTP/1.1", "GET / HTTP/1.1"), ("GET http://h?q HTTP/1.1", "GET /?q HTTP/1.1"),
            ("OPTIONS http://h HTTP/1.1", "OPTIONS * HTTP/1.1"),
            ("OPTIONS http://h?q HTTP/1.1", "OPTIONS /?q HTTP/1.1"),
            ("OPTIONS * HTTP/1.1", "OPTIONS * HTTP/1.1"), ("MINE //x HTTP/1.0", "MINE //x HTTP/1.1"),
        ])
    func targets(line: String, expected: String) {
        #expect(forward("\(line)\r\nHost: a\r\n\r\n")?.hasPrefix(expected + "\r\nhost: ") == true)
    }

    @Test("forwarded fields of a client that is not trusted are replaced, those of one that is are continued")
    func forwardedFields() throws {
        let text = """
            GET / HTTP/1.0\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n\
            X-Forwarded-Port: 1\r\nForwarded: for=1\r\nX-Real-IP: 2\r\nX-Forwarded-For: 2.2.2.2\r\n\
            X-Request-ID: abc\r\nVia: 1.1 p\r\nHost: a\r\n\r\n
            """
        #expect(
            forward(text) == """
                GET / HTTP/1.1\r\nhost: a\r\nVia: 1.1 p\r\nx-forwarded-for: 192.0.2.7\r\nx-forwarded-proto: http\r\n\
                x-forwarded-host: a\r\nvia: 1.0 cloudwright\r\nx-request-id: id-1\r\n\r\n
                """)
        let trusted = try #require(forward(text) { $0.trust = .append })
        #expect(trusted.contains("\r\nx-forwarded-for: 1.1.1.1, 2.2.2.2, 192.0.2.7\r\n"))
        #expect(trusted.contains("\r\nX-Forwarded-Proto: https\r\n") && !trusted.contains("x-forwarded-proto"))
        #expect(trusted.contains("\r\nForwarded: for=1\r\n") && !trusted.contains("abc"))
        #expect(forward("GET / HTTP/1.1\r\nHost: a\r\n\r\n") { $0.isSecure = true }?.contains("-proto: https") == true)
    }

    @Test("framing, expectation, trailers and upgrade go on as they should")
    func negotiation() throws {
        let chunked = try #require(forward(request("Transfer-Encoding: Chunked", "TE: trailers", "Trailer: X-Sum")))
        #expect(chunked.contains("\r\ntransfer-encoding: chunked\r\n") && chunked.contains("\r\nTrailer: X-Sum\r\n"))
        #expect(chunked.contains("\r\nte: trailers\r\nconnection: te\r\n"))
        let waiting = request("Expect: 100-continue", "Content-Length: 3")
        #expect(forward(waiting)?.contains("\r\nExpect: 100-continue\r\n") == true)
        #expect(forward(waiting) { $0.expectation = .answered }?.contains("Expect") == false)
        #expect(forward(request("Expect: 100-continue"))?.contains("Expect") == false)
        #expect(forward(request("Content-Length: 0"))?.contains("\r\ncontent-length: 0\r\n") == true)
        let upgrade = request("Upgrade: websocket", "Connection: upgrade", "Sec-WebSocket-Key: k", method: "GET")
        #expect(forward(upgrade)?.lowercased().contains("upgrade") == false)
        let upgraded = try #require(forward(upgrade) { $0.forwardsUpgrade = true })
        #expect(upgraded.contains("\r\nupgrade: websocket\r\nconnection: upgrade\r\n"))
        #expect(upgraded.contains("\r\nSec-WebSocket-Key: k\r\n"))
    }

    @Test("credentials")
    func credentials() {
        let text = request("Authorization: Bearer k", "Cookie: c")
        #expect(forward(text)?.contains("Authorization: Bearer k") == true)
        let removed = forward(text) { $0.removesAuthorization = true }
        #expect(removed?.contains("Authorization") == false && removed?.contains("Cookie: c") == true)
    }

    @Test(
        "a received id is acceptable only if it is plain and single",
        arguments: [
            ("abc-123_X.y~z", true), ("", false), ("a b", false), ("a\"b", false), ("a, b", false),
            (String(repeating: "a", count: 128), true), (String(repeating: "a", count: 129), false),
        ])
    func requestID(value: String, isAcceptable: Bool) {
        for repeated in [false, true] {
            let lines = "X-Request-ID: \(value)" + (repeated ? "\r\nX-Request-ID: \(value)" : "")
            withExactMemory(Array(request(lines).utf8)) { buffer in
                var head = RequestHead()
                #expect(head.parse(buffer) == .complete(length: buffer.count))
                #expect((head.acceptableRequestID(in: buffer) != nil) == (isAcceptable && !repeated))
            }
        }
    }

    @Test("a plain response")
    func plainResponse() {
        let text = """
            HTTP/1.1 200 Fine\r\nServer : s\r\nConnection: x-one\r\nX-One: 1\r\nKeep-Alive: 5\r\nContent-Length: 3\r\n\
            X-Request-ID: theirs\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n
            """
        let date = "Sun, 06 Nov 1994 08:49:37 GMT"
        #expect(
            answer(text, date: date, id: "id-1").text == """
                HTTP/1.1 200 Fine\r\nServer: s\r\nSet-Cookie: a\r\nSet-Cookie: b\r\ncontent-length: 3\r\n\
                date: \(date)\r\nx-request-id: id-1\r\n\r\n
                """)
        let dated = answer(response("Date: theirs", "Content-Length: 0"), date: date)
        #expect(dated.text == "HTTP/1.1 200 OK\r\nDate: theirs\r\ncontent-length: 0\r\n\r\n")
    }

    @Test("bodies and connections by the client's version")
    func clientVersions() {
        let chunked = response("Transfer-Encoding: chunked", "Trailer: X")
        #expect(answer(chunked).text == "HTTP/1.1 200 OK\r\nTrailer: X\r\ntransfer-encoding: chunked\r\n\r\n")
        #expect(answer(chunked).framing == ClientFraming(body: .chunked, keepsAlive: true))
        #expect(answer(chunked, to: .get, .http10).text == "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
        #expect(answer(chunked, to: .get, .http10).framing == ClientFraming(body: .untilClose, keepsAlive: false))
        let sized = response("Content-Length: 3")
        #expect(
            answer(sized, to: .get, .http10).text
                == "HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: keep-alive\r\n\r\n")
        #expect(
            answer(sized, to: .get, .http11, keepsAlive: false).text
                == "HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\n")
        #expect(answer(response("X: a")).text == "HTTP/1.1 200 OK\r\nX: a\r\nconnection: close\r\n\r\n")
        #expect(answer(response("X: a")).framing == ClientFraming(body: .untilClose, keepsAlive: false))
    }

    @Test("19: responses without body keep what they may say of one")
    func noBody() {
        let sized = response("Content-Length: 9")
        #expect(answer(sized, to: .head).text == "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")
        #expect(answer(sized, to: .head).framing == ClientFraming(body: .none, keepsAlive: true))
        let chunked = response("Transfer-Encoding: chunked")
        #expect(answer(chunked, to: .head).text == "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        #expect(answer(chunked, to: .head, .http10).text == "HTTP/1.1 200 OK\r\nconnection: keep-alive\r\n\r\n")
        let none = response("Content-Length: 0", status: "204 No Content")
        #expect(answer(none).text == "HTTP/1.1 204 No Content\r\n\r\n")
        let unchanged = response("Content-Length: 9", "ETag: \"a\"", status: "304 Not Modified")
        #expect(answer(unchanged).text == "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\ncontent-length: 9\r\n\r\n")
        let hints = response("Link: </a>", "Connection: x", "X: 1", status: "103 Early Hints")
        #expect(answer(hints, id: "i").text == "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    }

    @Test("18: a switch of protocols, and the demand for one")
    func switching() {
        let text = response("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: s", status: "101 S")
        #expect(
            answer(text).text
                == "HTTP/1.1 101 S\r\nSec-WebSocket-Accept: s\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
        let demand = response("Upgrade: x", "Content-Length: 0", status: "426 U")
        #expect(
            answer(demand).text == "HTTP/1.1 426 U\r\ncontent-length: 0\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n")
    }

    @Test("what is written parses again, and says the same", arguments: ArrivalTests.requests)
    func reparse(text: String) throws {
        let original = try #require(parseRequest(text).message)
        let written = try #require(forward(text) { $0.fallbackHost = fallback })
        let forwarded = try #require(parseRequest(written).message)
        #expect(forwarded.method == original.method && forwarded.body == original.body)
        #expect(forwarded.pathAndQuery == original.pathAndQuery && forwarded.host == original.host ?? "none.test")
        #expect(forwarded.expectsContinue == original.expectsContinue)
        #expect(forwarded.fields.allSatisfy { !$0.isConnectionListed || $0.known == .te })
    }

    /// Lives as long as the program.
    private var fallback: UnsafeRawBufferPointer {
        let text: StaticString = "none.test"
        return UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
    }
}

/// The gateway's own responses.
@Suite struct GatewayResponseTests {
    private func respond(_ status: Int, to method: RequestMethod, _ version: HTTPVersion, keepsAlive: Bool) -> String {
        let body = Array("{}".utf8)
        return String(
            decoding: written { writer in
                body.withUnsafeBytes { body in
                    writer.beginResponse(status: status)
                    writer.appendField("retry-after", decimal: 120)
                    writer.endResponse(
                        status: status, contentType: "application/problem+json", body: body,
                        to: ResponseForwarding(requestVersion: version, requestMethod: method, keepsAlive: keepsAlive))
                }
            }, as: UTF8.self)
    }

    @Test("a complete response")
    func complete() {
        let head = """
            HTTP/1.1 429 Too Many Requests\r\nretry-after: 120\r\ncontent-type: application/problem+json\r\n\
            content-length: 2\r\n
            """
        #expect(respond(429, to: .get, .http11, keepsAlive: true) == head + "\r\n{}")
        #expect(respond(429, to: .head, .http11, keepsAlive: true) == head + "\r\n")
        #expect(respond(429, to: .get, .http11, keepsAlive: false) == head + "connection: close\r\n\r\n{}")
        #expect(respond(429, to: .get, .http10, keepsAlive: true) == head + "connection: keep-alive\r\n\r\n{}")
    }

    @Test("every fault has a status with a phrase, and a sentence", arguments: MessageFault.allCases)
    func faults(fault: MessageFault) {
        #expect((400...599).contains(fault.status))
        #expect(ReasonPhrase.of(fault.status).utf8CodeUnitCount > 0)
        #expect(fault.explanation.utf8CodeUnitCount > 20)
    }

    @Test("numbers", arguments: [0, 1, 9, 10, 15, 16, 99, 100, 255, 256, 4096, UInt64(Int64.max), .max])
    func numbers(number: UInt64) {
        #expect(String(decoding: written { $0.append(decimal: number) }, as: UTF8.self) == "\(number)")
        let hexadecimal = String(decoding: written { $0.append(hexadecimal: number) }, as: UTF8.self)
        #expect(hexadecimal == String(number, radix: 16))
    }

    @Test(
        "dates",
        arguments: [
            (Int64(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT"), (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_827_696, "Tue, 29 Feb 2000 12:34:56 GMT"), (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
            (1_709_251_200, "Fri, 01 Mar 2024 00:00:00 GMT"), (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"), (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (-5, "Thu, 01 Jan 1970 00:00:00 GMT"),
        ])
    func dates(seconds: Int64, expected: String) {
        let date = written { HTTPDate.write(unixSeconds: seconds, to: &$0) }
        #expect(String(decoding: date, as: UTF8.self) == expected && date.count == HTTPDate.length)
    }
}
