import AdministrationAPI
import AdministrationClient
import AdministrationFixture
import CloudPorts
import Foundation
import Glibc
import Testing
import WebSocketFrames

/// Consoles of virtual servers over real WebSockets; the line behind is a test's own. With a real guest they are shown
/// by the tests of the hypervisor and of the scenarios.
@Suite struct VirtualServerConsoleTests {
    private static let path = "/api/v1/virtual-servers/shop-1/console"

    private static let handshake = [
        "Connection": "keep-alive, Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    ]

    /// Sends a handshake as it is: the HTTP library of the other tests keeps some of its headers to itself.
    private static func open(
        _ live: LiveServer, as role: Administrator.Role = .operator, path: String = path,
        _ changes: [String: String?] = [:]
    ) async throws -> (connection: RawConnection, answer: String) {
        var headers: [String: String] = handshake
        headers["Host"] = URL(string: live.address).flatMap { url in url.port.map { "127.0.0.1:\($0)" } }
        headers["Authorization"] = "Bearer \(live.tokens[role] ?? "")"
        for (name, value) in changes { headers[name] = value }
        let connection = try RawConnection(to: live.address)
        connection.send(
            "GET \(path) HTTP/1.1\r\n" + headers.map { "\($0.key): \($0.value)\r\n" }.joined() + "\r\n")
        let answer = await connection.read { text in
            text.contains("\r\n\r\n") && (text.hasPrefix("HTTP/1.1 101") || text.hasSuffix("}"))
        }
        return (connection, answer)
    }

    private static func status(_ answer: String) -> String { String(answer.dropFirst(9).prefix(3)) }

    private static func events(_ live: LiveServer) async throws -> [API.Event] {
        try await live.send("GET", "/api/v1/events?kind=virtual-server.console").value(API.Page<API.Event>.self).items
    }

    private static func line(_ live: LiveServer, _ number: Int = 0) async throws -> PlainLine {
        try #require(await eventually { await live.cloud.lines.count > number })
        return await live.cloud.lines[number]
    }

    @Test("what is typed reaches the virtual server, what it says comes back, and both ends are in the event log")
    func carries() async throws {
        try await LiveServer.run { live in
            try await Samples.fill(live)
            let client = try AdministrationClient(server: live.address, token: live.tokens[.operator])
            let console = try client.openConsole("shop-1")
            let line = try await Self.line(live)
            line.say("login: ")
            #expect(try await Self.hears(console, "login: "))
            try console.type(Array("root\n".utf8))
            #expect(await eventually { line.typed == "root\n" })
            // More than fits into any buffer on the way, both ways.
            let much = String(repeating: "0123456789abcdef", count: 20_000)
            line.say(much)
            #expect(try await Self.hears(console, much))
            try console.type(Array(much.utf8))
            #expect(await eventually { line.typed.utf8.count == much.utf8.count + 5 })
            #expect(try await Self.events(live).map(\.kind) == ["virtual-server.console-opened"])
            console.close()
            #expect(await eventually { !line.isOpen })
            #expect(try await eventually { try await Self.events(live).count == 2 })
            let closed = try #require(try await Self.events(live).last)
            #expect(closed.kind == "virtual-server.console-closed" && closed.actor == "test-operator")
            #expect(closed.details["instance"] == "shop-1" && closed.details["source"] == "127.0.0.1")
            #expect(closed.details["bytesTyped"] == String(much.utf8.count + 5))
            #expect(closed.details["bytesSaid"] == String(much.utf8.count + 7))
            #expect(closed.details["seconds"].flatMap { Int($0) } != nil && closed.details["reason"] == "closed")
        }
    }

    @Test("when the virtual server stops, the console is closed with the reason")
    func ends() async throws {
        try await LiveServer.run { live in
            try await Samples.fill(live)
            let console = try AdministrationClient(server: live.address, token: live.tokens[.administrator])
                .openConsole("shop-1")
            let line = try await Self.line(live)
            line.say("bye")
            await line.close()
            var said = ""
            let ending = try await Self.ending(console, &said)
            #expect(said == "bye")
            #expect(ending == .ended(code: 1_001, reason: "the virtual server has stopped or moved"))
        }
    }

    @Test("one session at a time: a second one is refused, or takes it over and the first is told by whom")
    func oneAtATime() async throws {
        try await LiveServer.run { live in
            try await Samples.fill(live)
            let first = try AdministrationClient(server: live.address, token: live.tokens[.operator])
                .openConsole("shop-1")
            let client = try AdministrationClient(server: live.address, token: live.tokens[.administrator])
            let refused = #expect(throws: ClientError.self) { try client.openConsole("shop-1") }
            guard case .refused(let problem) = refused else { throw try #require(refused) }
            #expect(problem.status == 409 && problem.detail.contains("'test-operator'"))
            let second = try client.openConsole("shop-1", takingOver: true)
            var said = ""
            let ending = try await Self.ending(first, &said)
            #expect(ending == .ended(code: 1_008, reason: "'test-administrator' has taken it over"))
            // The first one's end does not free the console that the second one has.
            #expect(try await eventually { try await Self.events(live).count == 3 })
            #expect(throws: ClientError.self) { try client.openConsole("shop-1") }
            try await Self.line(live, 1).say("yours")
            #expect(try await Self.hears(second, "yours"))
            second.close()
            #expect(try await eventually { try await Self.events(live).count == 4 })
            try client.openConsole("shop-1").close()
        }
    }

    @Test("roles without the right, other sites, and what is no handshake are refused")
    func refusals() async throws {
        try await LiveServer.run { live in
            try await Samples.fill(live)
            for role in [Administrator.Role.auditor, .consumer] {
                #expect(try await Self.status(Self.open(live, as: role).answer) == "403", "\(role)")
            }
            let refused: [([String: String?], String)] = [
                (["Authorization": nil], "401"), (["Authorization": "Bearer nobody"], "401"),
                (["Origin": "https://evil.example"], "403"), (["Origin": "null"], "403"),
                (["Origin": "http://127.0.0.1:1"], "403"),
                (["Sec-Fetch-Site": "cross-site", "Origin": live.address], "403"),
                (["Upgrade": "h2c"], "426"), (["Upgrade": nil], "426"), (["Connection": "close"], "426"),
                (["Sec-WebSocket-Version": "8"], "426"), (["Sec-WebSocket-Key": "short"], "400"),
            ]
            for (changes, status) in refused {
                let answer = try await Self.open(live, changes).answer
                #expect(Self.status(answer) == status, "\(changes): \(answer)")
                #expect(answer.contains("application/problem+json"), "\(changes)")
            }
            let unknown = try await Self.open(live, path: "/api/v1/virtual-servers/nobody/console").answer
            #expect(Self.status(unknown) == "404")
            #expect(await live.cloud.lines.isEmpty)
            #expect(try await Self.events(live).isEmpty)
        }
    }

    @Test("a browser's session opens a console from the platform's own page only")
    func browser() async throws {
        try await LiveServer.run { live in
            try await Samples.fill(live)
            let login = try await live.send(
                "POST", "/api/v1/console/session", as: nil,
                body: "{\"token\": \"\(live.tokens[.operator] ?? "")\"}")
            let cookie = try #require(login.headers["set-cookie"]).prefix { $0 != ";" }
            let session: [String: String?] = ["Authorization": nil, "Cookie": String(cookie)]
            #expect(try await Self.status(Self.open(live, session).answer) == "403")
            let foreign = session.merging(["Origin": "http://elsewhere.example"]) { $1 }
            #expect(try await Self.status(Self.open(live, foreign).answer) == "403")
            let own = session.merging(["Origin": live.address, "Sec-Fetch-Site": "same-origin"]) { $1 }
            let (connection, answer) = try await Self.open(live, own)
            #expect(Self.status(answer) == "101")
            #expect(answer.lowercased().contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="))
            try await Self.line(live).say("hello there")
            #expect(await connection.read { $0.contains("hello there") }.contains("hello there"))
            // Scripts are not told what a refused handshake was answered: they are let in to be told.
            let (second, accepted) = try await Self.open(live, own)
            #expect(Self.status(accepted) == "101")
            let told = accepted + (await second.read { $0.contains("open since") })
            #expect(told.contains("'test-operator' has the console of 'shop-1' open since"))
            #expect(await live.cloud.lines.count == 1)
        }
    }

    @Test("a client that no longer answers, or may no longer be there, is closed")
    func watched() async throws {
        try await LiveServer.run(heartbeat: .milliseconds(100)) { live in
            try await Samples.fill(live)
            let (silent, answer) = try await Self.open(live)
            #expect(Self.status(answer) == "101")
            let line = try await Self.line(live)
            #expect(await eventually { !line.isOpen })
            let told = await silent.read { $0.contains("nothing was heard") }
            #expect(told.contains("nothing was heard"))
        }
    }

    @Test("what is no WebSocket afterwards ends the connection")
    func nonsense() async throws {
        try await LiveServer.run { live in
            try await Samples.fill(live)
            let (connection, _) = try await Self.open(live)
            let line = try await Self.line(live)
            connection.send("GET / HTTP/1.1\r\n\r\n")
            #expect(await eventually { !line.isOpen })
            let told = await connection.read { $0.contains("reserved") }
            #expect(told.contains("a reserved bit is set") && !told.contains("HTTP/1.1"))
        }
    }

    @Test("the platform's end closes consoles with the reason")
    func platformStops() async throws {
        var console: ConsoleConnection?
        try await LiveServer.run { live in
            try await Samples.fill(live)
            console = try AdministrationClient(server: live.address, token: live.tokens[.operator])
                .openConsole("shop-1")
        }
        var said = ""
        let ending = try await Self.ending(try #require(console), &said)
        #expect(ending == .ended(code: 1_001, reason: "the platform is stopping"))
    }

    // MARK: Listening

    private static func hears(_ console: ConsoleConnection, _ text: String) async throws -> Bool {
        var heard: [UInt8] = []
        return try await eventually {
            while case .said(let bytes)? = try console.receive() { heard += bytes }
            return heard == Array(text.utf8)
        }
    }

    private static func ending(
        _ console: ConsoleConnection, _ said: inout String
    ) async throws -> ConsoleConnection.Received? {
        let deadline = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < deadline {
            switch try console.receive() {
            case .said(let bytes)?: said += String(decoding: bytes, as: UTF8.self)
            case let ended?: return ended
            case nil: try await Task.sleep(for: .milliseconds(5))
            }
        }
        return nil
    }
}
