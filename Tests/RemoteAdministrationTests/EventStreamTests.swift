import AdministrationAPI
import AdministrationClient
import AdministrationFixture
import CloudModel
import CloudPorts
import Foundation
import Testing

@Suite struct EventStreamTests {
    private func event(_ kind: String, service: ServiceID? = "shop") -> PlatformEvent {
        PlatformEvent(at: LiveServer.now(), kind: kind, service: service, summary: "line\nbreak of \(kind)")
    }

    private func open(
        _ live: LiveServer, query: String = "", headers: [String: String] = [:]
    ) throws -> RawConnection {
        let connection = try RawConnection(to: live.address)
        let more = headers.map { "\($0.key): \($0.value)\r\n" }.joined()
        connection.send(
            """
            GET /api/v1/events/stream\(query) HTTP/1.1\r\nHost: x\r\n\
            Authorization: Bearer \(live.tokens[.auditor] ?? "")\r\n\(more)\r\n
            """)
        return connection
    }

    @Test("what is in the log after the last event id comes first, then what happens")
    func resume() async throws {
        try await LiveServer.run { live in
            try await live.cloud.append([event("a.first"), event("a.second"), event("a.third")])
            let connection = try open(live, headers: ["Last-Event-ID": "1"])
            let past = await connection.read { $0.contains("id: 3\n") && $0.hasSuffix("\n\n\r\n") }
            #expect(past.lowercased().contains("content-type: text/event-stream"), "\(past)")
            #expect(
                !past.contains("a.first") && past.contains("event: a.second\n") && past.contains("event: a.third\n"))
            // A line end inside of the text must not end the data.
            #expect(past.contains(#"line\nbreak of a.third"#))
            try await live.cloud.append([event("a.fourth")])
            let now = await connection.read { $0.contains("id: 4\n") }
            #expect(now.contains("event: a.fourth\n"))
        }
    }

    @Test("without a place to begin, only what happens from now on comes")
    func fromNow() async throws {
        try await LiveServer.run { live in
            try await live.cloud.append([event("a.old")])
            let connection = try open(live)
            _ = await connection.read { $0.contains("retry: 2000") }
            try await live.cloud.append([event("a.new")])
            let text = await connection.read { $0.contains("id: 2\n") }
            #expect(text.contains("a.new") && !text.contains("a.old"))
        }
    }

    @Test("filters leave events out without losing the place")
    func filtered() async throws {
        try await LiveServer.run(heartbeat: .milliseconds(100)) { live in
            let connection = try open(live, query: "?service=shop&after=0")
            try await live.cloud.append([event("a.one"), event("b.two", service: "wiki")])
            let text = await connection.read { $0.contains("id: 2\n") }
            #expect(text.contains("a.one") && !text.contains("b.two"))
            #expect(text.contains("id: 2\n: nothing new"), "a heartbeat carries the place: \(text)")
        }
    }

    @Test("there are only so many streams, and a closed one makes room")
    func bounded() async throws {
        try await LiveServer.run(maximumStreams: 2, heartbeat: .milliseconds(50)) { live in
            var first: RawConnection? = try open(live)
            let second = try open(live)
            _ = await first?.read { $0.contains("retry:") }
            _ = await second.read { $0.contains("retry:") }
            let refused = try await live.send("GET", "/api/v1/events/stream")
            #expect(refused.status == 503 && refused.headers["retry-after"] == "5")
            #expect(refused.headers["content-type"] == "application/problem+json")
            first = nil
            let hasRoom = try await eventually {
                let third = try open(live)
                return await third.read { $0.contains("retry:") || $0.contains("503") }.contains("HTTP/1.1 200")
            }
            #expect(hasRoom)
        }
    }

    @Test("asking for the head of a stream takes no place")
    func headTakesNoPlace() async throws {
        try await LiveServer.run(maximumStreams: 1) { live in
            for _ in 0..<3 { #expect(try await live.send("HEAD", "/api/v1/events/stream").status == 200) }
            let connection = try open(live)
            #expect(await connection.read { $0.contains("retry:") || $0.contains("503") }.contains("HTTP/1.1 200"))
        }
    }

    @Test("a stream ends when its token is removed")
    func removedToken() async throws {
        try await LiveServer.run(heartbeat: .milliseconds(50)) { live in
            let connection = try open(live)
            _ = await connection.read { $0.contains("retry:") }
            #expect(try await live.send("DELETE", "/api/v1/administrators/test-auditor").status == 204)
            let end = await connection.read { $0.contains("\r\n0\r\n\r\n") }
            #expect(end.contains("0\r\n\r\n"), "the last chunk: \(end)")
        }
    }

    @Test("a client that does not take its data is cut off, and costs no memory meanwhile")
    func slowClient() async throws {
        try await LiveServer.run(heartbeat: .milliseconds(50), writeTimeout: .milliseconds(500)) { live in
            let connection = try open(live)
            _ = await connection.read { $0.contains("retry:") }
            // More than the buffers of both sockets take.
            let filler = String(repeating: "x", count: 100_000)
            for _ in 0..<20 {
                try await live.cloud.append(
                    (0..<20).map { _ in PlatformEvent(at: LiveServer.now(), kind: "a.large", summary: filler) })
            }
            let isCutOff = try await eventually {
                try await live.send("GET", "/metrics", as: nil).text.contains("cloudwright_event_streams 0\n")
            }
            #expect(isCutOff)
            withExtendedLifetime(connection) {}
        }
    }

    @Test("the server ends with streams open")
    func shutdown() async throws {
        let began = ContinuousClock.now
        var kept: RawConnection?
        try await LiveServer.run(stopLimit: .seconds(120)) { live in
            let connection = try open(live)
            _ = await connection.read { $0.contains("retry:") }
            kept = connection
        }
        #expect(ContinuousClock.now - began < .seconds(60), "it does not wait for its clients")
        #expect(await kept?.read { $0.contains("0\r\n\r\n") }.contains("0\r\n\r\n") == true)
    }

    @Test("the client follows over broken connections without a gap")
    func client() async throws {
        try await LiveServer.run { live in
            try await live.cloud.append([event("a.one"), event("a.two")])
            let client = try AdministrationClient(server: live.address, token: live.tokens[.auditor])
            var seen: [Int64] = []
            for try await event in client.followEvents(EventFilter(), after: 0) {
                seen.append(event.position)
                if seen.count == 2 { try await live.cloud.append([self.event("a.three")]) }
                if seen.count == 3 { break }
            }
            #expect(seen == [1, 2, 3])
            let wrong = try AdministrationClient(server: live.address, token: "cwa_wrong")
            await #expect(throws: ClientError.self) {
                for try await _ in wrong.followEvents(EventFilter()) {}
            }
        }
    }

    @Test("a last event id that is none is refused")
    func badPlace() async throws {
        try await LiveServer.run { live in
            let answer = try await live.send("GET", "/api/v1/events/stream", headers: ["Last-Event-ID": "abc"])
            #expect(answer.status == 400)
        }
    }
}
