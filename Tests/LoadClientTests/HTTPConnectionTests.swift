import LoadClient
import Testing

@Suite struct HTTPConnectionTests {
    private func withServer(
        _ script: @escaping @Sendable (ScriptedServer.Request) -> ScriptedServer.Reply,
        timeoutMilliseconds: Int64 = 10_000, _ body: (ScriptedServer, HTTPConnection) throws -> Void
    ) throws {
        let server = ScriptedServer(script)
        defer { server.stop() }
        let connection = HTTPConnection(
            to: HTTPTarget(port: server.port), timeoutMilliseconds: timeoutMilliseconds)
        try body(server, connection)
    }

    private func code(_ connection: HTTPConnection, _ request: HTTPRequest = .init()) -> LoadClientError.Code? {
        do throws(LoadClientError) {
            _ = try connection.send(request)
            return nil
        } catch {
            return error.code
        }
    }

    @Test func sendsRequestsAndReadsResponsesOnOneConnection() throws {
        try withServer({ .ok("\($0.method) \($0.path) \($0.body.count)", fields: "X-Request-ID: \($0.number)\r\n") }) {
            server, connection in
            for number in 0..<10 {
                let response = try connection.send(
                    HTTPRequest("POST", "/things", fields: [HTTPField("x-api-key", "k")], text: "abc"))
                #expect(response.status == 200 && response.reason == "OK" && response.text == "POST /things 3")
                #expect(response["x-request-id"] == "\(number)")
            }
            #expect(server.connectionCount == 1)
            let seen = server.requests[0]
            #expect(seen.fields["host"] == "127.0.0.1:\(server.port)" && seen.fields["x-api-key"] == "k")
            #expect(seen.body == Array("abc".utf8))
        }
    }

    @Test func readsEveryKindOfBody() throws {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=1\r\nhello\r\nA\r\n, chunked!\r\n0\r\n"
        let replies: [String: ScriptedServer.Reply] = [
            "/chunked": .text(chunked + "checksum: 1\r\n\r\n"),
            "/dribbled": .dribbled(chunked + "\r\n"),
            "/none": .text("HTTP/1.1 204 No Content\r\n\r\n"),
            "/interim": .text(
                "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\nok"),
            "/head": .text("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n"),
            "/close": .text("HTTP/1.0 200 OK\r\n\r\nall of it", close: true),
        ]
        try withServer({ replies[$0.path] ?? .hangUp }) { server, connection in
            #expect(try connection.send(HTTPRequest("GET", "/chunked")).text == "hello, chunked!")
            #expect(try connection.send(HTTPRequest("GET", "/dribbled")).text == "hello, chunked!")
            #expect(try connection.send(HTTPRequest("GET", "/none")).status == 204)
            let interim = try connection.send(HTTPRequest("GET", "/interim"))
            #expect(interim.status == 201 && interim.text == "ok" && interim["link"] == nil)
            #expect(try connection.send(HTTPRequest("HEAD", "/head")).body.isEmpty)
            #expect(server.connectionCount == 1 && connection.isConnected)
            #expect(try connection.send(HTTPRequest("GET", "/close")).text == "all of it")
            #expect(!connection.isConnected)
        }
    }

    @Test func aLargeBodyGoesBothWays() throws {
        let size = 3_000_000
        try withServer({ request in
            let isWhole = request.body.count == size && request.body.allSatisfy { $0 == 7 }
            return .ok(isWhole ? String(repeating: "x", count: size) : "broken")
        }) { _, connection in
            let body = [UInt8](repeating: 7, count: size)
            let response = try connection.send(HTTPRequest("PUT", "/", body: body))
            #expect(response.bodySize == size && response.body.allSatisfy { $0 == 0x78 })
        }
    }

    @Test func anEarlyAnswerIsReadAndTheConnectionIsGivenUp() throws {
        let refusal = "HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n"
        try withServer({ _ in .text(refusal) }) { _, connection in
            let response = try connection.send(
                HTTPRequest("POST", "/early", body: [UInt8](repeating: 1, count: 9_000_000)))
            #expect(response.status == 413)
            #expect(!connection.isConnected)
        }
    }

    @Test func aClosedConnectionIsMadeAgain() throws {
        let last = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        try withServer({ $0.number == 1 ? .text(last, close: true) : .ok() }) { server, connection in
            for _ in 0..<4 {
                let response = try connection.send(HTTPRequest())
                #expect(response.status == 200)
            }
            #expect(server.connectionCount == 2)
        }
    }

    @Test func sendsRawBytes() throws {
        try withServer({ .ok($0.method) }) { _, connection in
            let bytes = Array("BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
            let response = try connection.send(raw: bytes)
            #expect(response.text == "BREW")
        }
    }

    @Test(arguments: [
        ("HTTP/2 200\r\n\r\n", LoadClientError.Code.malformed),
        ("HTTP/1.1 99 Low\r\n\r\n", .malformed),
        ("HTTP/1.1 200 OK\nx: y\n\n", .malformed),
        ("HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", .malformed),
        ("HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok", .malformed),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokay", .malformed),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", .malformed),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nokay\r\n", .malformed),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n", .malformed),
        ("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nshort", .closed),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n", .closed),
        ("", .closed),
    ])
    func whatIsNoWholeResponseIsAnError(reply: String, expected: LoadClientError.Code) throws {
        try withServer({ _ in .text(reply, close: true) }) { _, connection in
            #expect(code(connection) == expected)
            #expect(!connection.isConnected)
        }
    }

    @Test func anEndlessHeadIsAnError() throws {
        let endless = "HTTP/1.1 200 OK\r\nx: " + String(repeating: "y", count: 70_000)
        try withServer({ _ in .text(endless) }) { _, connection in #expect(code(connection) == .tooLong) }
    }

    @Test func silenceEndsWithTheTimeout() throws {
        try withServer({ $0.number == 0 ? .silence : .ok() }, timeoutMilliseconds: 150) { server, connection in
            #expect(code(connection) == .timeout)
            let next = try connection.send(HTTPRequest())
            #expect(next.status == 200, "the next one begins anew")
            #expect(server.connectionCount == 2)
        }
    }

    @Test func nobodyThereIsAnError() {
        let server = ScriptedServer { _ in .ok() }
        let connection = HTTPConnection(to: HTTPTarget(port: server.port), timeoutMilliseconds: 2_000)
        #expect(code(connection) == nil)
        server.stop()
        var codes: [LoadClientError.Code?] = []
        // The listener's thread may take a moment to close it.
        for _ in 0..<1_000 where codes.last != .notConnected { codes.append(code(connection)) }
        #expect(codes.last == .notConnected)
        #expect(code(HTTPConnection(to: HTTPTarget(address: "nowhere", port: 1))) == .invalid)
    }
}
