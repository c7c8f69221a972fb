import AdministrationAPI
import AdministrationFixture
import CloudModel
import CloudPorts
import Credentials
import Foundation
import Logging
import RemoteAdministration
import Testing

/// What holds for every request and answer.
@Suite struct HTTPTests {
    @Test("every answer forbids storing, sniffing, framing and telling on")
    func headers() async throws {
        try await LiveServer.run { live in
            for (path, role) in [("/healthz", nil), ("/api/v1/whoami", .auditor), ("/nowhere", nil)]
                as [(String, Administrator.Role?)]
            {
                let answer = try await live.send("GET", path, as: role)
                #expect(answer.headers["cache-control"] == "no-store", "\(path)")
                #expect(answer.headers["x-content-type-options"] == "nosniff")
                #expect(answer.headers["x-frame-options"] == "DENY")
                #expect(answer.headers["referrer-policy"] == "no-referrer")
                #expect(answer.headers["content-security-policy"]?.contains("default-src 'none'") == true)
            }
        }
    }

    @Test("what is not there is told as a problem")
    func unknown() async throws {
        try await LiveServer.run { live in
            for path in ["/nowhere", "/api/v1/services/", "/api/v1/services/shop/%zz", "/api/v2/services"] {
                let answer = try await live.send("GET", path)
                #expect(answer.status == 404, "\(path)")
                #expect(answer.headers["content-type"] == "application/problem+json")
                #expect(answer.problem?.type == "urn:cloudwright:problem:not-found")
            }
        }
    }

    @Test("a wrong method is told with the right ones")
    func wrongMethod() async throws {
        try await LiveServer.run { live in
            let answer = try await live.send("DELETE", "/api/v1/services")
            #expect(answer.status == 405 && answer.headers["allow"] == "GET, HEAD")
            let both = try await live.send("POST", "/api/v1/services/shop/constraints")
            #expect(both.headers["allow"] == "GET, HEAD, PATCH")
        }
    }

    @Test("HEAD is answered as GET is, without the body")
    func head() async throws {
        try await LiveServer.run { live in
            let whole = try await live.send("GET", "/api/v1/services/shop/constraints")
            let head = try await live.send("HEAD", "/api/v1/services/shop/constraints")
            #expect(head.status == 200 && head.body.isEmpty)
            #expect(head.headers["content-length"] == "\(whole.body.count)")
            #expect(head.headers["etag"] == whole.headers["etag"])
        }
    }

    @Test("what has not changed is not sent again")
    func notModified() async throws {
        try await LiveServer.run { live in
            let path = "/api/v1/services/shop/constraints"
            let tag = try await live.send("GET", path).headers["etag"] ?? ""
            let again = try await live.send("GET", path, headers: ["If-None-Match": tag])
            #expect(again.status == 304 && again.body.isEmpty)
            _ = try await live.send(
                "PATCH", path, body: #"{"constraint":"maximum-instances","value":4}"#, headers: ["If-Match": tag])
            #expect(try await live.send("GET", path, headers: ["If-None-Match": tag]).status == 200)
        }
    }

    @Test(
        "a faulty body is told with its place and what to do",
        arguments: [
            (#"{"constraint":"maximum-instances","value":}"#, nil, "column 43: expected a value"),
            (#"{"constraint":"maximum-instances"}"#, "/value", "missing"),
            (#"{"constraint":"maximum-instances","value":"5"}"#, "/value", "whole number"),
            (#"{"constraint":"maximum","value":5}"#, "/constraint", "none of 'maximum-instances'"),
            (#"{"constraint":"maximum-instances","value":5,"vlaue":6}"#, "/vlaue", "'vlaue'"),
            (#"[1]"#, nil, "expected a JSON object"), ("", nil, "no body"),
        ])
    func faultyBody(body: String, pointer: String?, words: String) async throws {
        try await LiveServer.run { live in
            let answer = try await live.send(
                "PATCH", "/api/v1/services/shop/constraints", body: body,
                headers: ["If-Match": "*", "Content-Type": "application/json; charset=utf-8"])
            #expect(answer.status == 400)
            let problem = try #require(answer.problem)
            #expect(([problem.detail] + problem.faults.map(\.detail)).joined().contains(words), "\(answer.text)")
            if let pointer { #expect(problem.faults.contains { $0.pointer == pointer }, "\(answer.text)") }
        }
    }

    @Test("lifting a limit needs an explicit null")
    func explicitNull() async throws {
        try await LiveServer.run { live in
            let answer = try await live.send(
                "PATCH", "/api/v1/services/shop/constraints",
                body: #"{"constraint":"concurrent-requests-per-consumer","value":null}"#, headers: ["If-Match": "*"])
            #expect(answer.status == 200)
            #expect(try answer.value(API.Constraints.self).concurrentRequestsPerConsumer == nil)
        }
    }

    @Test(
        "a faulty query is told parameter by parameter",
        arguments: [
            ("limit=0", "from 1 to 1000"), ("limit=1001", "from 1 to 1000"), ("limit=abc", "whole number"),
            ("from=yesterday", "2026-11-24T02:30:00Z"), ("mechanism=other", "one of"),
            ("newest=maybe", "true or false"),
            ("service=", "give a value"), ("service=a&service=b", "twice"), ("servcie=a", "not known"),
            ("cursor=-1", "whole number"),
        ])
    func faultyQuery(query: String, words: String) async throws {
        try await LiveServer.run { live in
            let answer = try await live.send("GET", "/api/v1/events?" + query)
            #expect(answer.status == 400 && answer.text.contains(words), "\(answer.text)")
        }
    }

    @Test("a body of unknown length is cut off at the limit")
    func chunkedBody() async throws {
        try await LiveServer.run { live in
            let connection = try RawConnection(to: live.address)
            connection.send(
                """
                POST /api/v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                Transfer-Encoding: chunked\r\n\r\n
                """)
            let chunk = "4000\r\n" + String(repeating: "x", count: 0x4000) + "\r\n"
            for _ in 0..<5 { connection.send(chunk) }
            connection.send("0\r\n\r\n")
            let answer = await connection.read { $0.contains("problem:too-large") }
            #expect(answer.hasPrefix("HTTP/1.1 413"))
        }
    }

    @Test("what is no HTTP is refused and its connection closed")
    func notHTTP() async throws {
        try await LiveServer.run { live in
            let connection = try RawConnection(to: live.address)
            connection.send("NONSENSE\r\n\r\n")
            let answer = await connection.read { _ in false }
            #expect(answer.hasPrefix("HTTP/1.1 400"))
            let long = try RawConnection(to: live.address)
            long.send("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: \(String(repeating: "x", count: 20_000))\r\n\r\n")
            let refused = await long.read { _ in false }
            #expect(refused.hasPrefix("HTTP/1.1 4"), "\(refused)")
        }
    }

    @Test("an address that is taken is told with what to do")
    func addressTaken() async throws {
        try await LiveServer.run { live in
            let port = try #require(URL(string: live.address)?.port)
            let server = AdministrationServer(
                administration: live.cloud,
                settings: AdministrationServer.Settings(
                    address: Endpoint(address: "127.0.0.1", port: UInt16(port)), platform: PlatformSettings(name: "x")),
                tagger: SecretTagger(key: [1]), secrets: SecretBox(key: []),
                seals: try LiveServer.signer.verifier, sealNow: { [] },
                now: { LiveServer.now() }, logger: Logger(label: "test"))
            let serving = Task { try await server.run() }
            let error = await #expect(throws: AdministrationServerError.self) { try await server.boundPort() }
            #expect(error?.description.contains("127.0.0.1:\(port)") == true)
            #expect(error?.description.contains("spec.administration.address") == true)
            await #expect(throws: AdministrationServerError.self) { try await serving.value }
        }
    }

    @Test("a page follows the other without a gap, to the end")
    func pages() async throws {
        try await LiveServer.run { live in
            try await Samples.fill(live)
            var positions: [Int64] = []
            var cursor: String? = "0"
            var requests = 0
            while let next = cursor, requests < 20 {
                let page = try await live.send("GET", "/api/v1/events?limit=2&cursor=\(next)")
                    .value(API.Page<API.Event>.self)
                positions += page.items.map(\.position)
                #expect(page.items.count <= 2)
                cursor = page.nextCursor
                requests += 1
            }
            #expect(positions == [1, 2, 3, 4, 5])
            var parts: [[Int64]] = []
            cursor = nil
            repeat {
                let page = try await live.send(
                    "GET", "/api/v1/events?limit=2&newest=true" + (cursor.map { "&cursor=\($0)" } ?? "")
                )
                .value(API.Page<API.Event>.self)
                parts.append(page.items.map(\.position))
                cursor = page.nextCursor
            } while cursor != nil && parts.count < 20
            #expect(parts == [[4, 5], [2, 3], [1]])
            var told: [String] = []
            cursor = nil
            repeat {
                let page = try await live.send(
                    "GET", "/api/v1/notifications?limit=1" + (cursor.map { "&cursor=\($0)" } ?? "")
                )
                .value(API.Page<API.Notification>.self)
                told += page.items.map(\.id)
                cursor = page.nextCursor
            } while cursor != nil && told.count < 10
            #expect(told == ["told-all", "told-globex", "told-acme"])
        }
    }
}
