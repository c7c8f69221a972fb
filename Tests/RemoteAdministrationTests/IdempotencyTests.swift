import AdministrationAPI
import AdministrationFixture
import Foundation
import Testing

@Suite struct IdempotencyTests {
    /// Uses the key for a request that no route is tested with.
    static func remember(_ live: LiveServer, key: String) async throws {
        let answer = try await live.send(
            "PATCH", "/api/v1/services/wiki/constraints", body: #"{"constraint":"maximum-instances","value":9}"#,
            headers: ["If-Match": "*", "Idempotency-Key": key])
        #expect(answer.status == 200, "\(answer.text)")
    }

    /// Runs `body` while a request with the key is being worked on.
    static func whileRunning(_ live: LiveServer, key: String, _ body: () async throws -> Void) async throws {
        await live.cloud.hold()
        async let first = live.send(
            "PATCH", "/api/v1/services/wiki/constraints", body: #"{"constraint":"maximum-instances","value":8}"#,
            headers: ["If-Match": "*", "Idempotency-Key": key])
        #expect(await eventually { await live.cloud.isSomebodyWaiting })
        try await body()
        await live.cloud.letGo()
        #expect(try await first.status == 200)
    }

    private static let change = #"{"constraint":"maximum-instances","value":5}"#

    @Test("a repeated request is answered as the first one was, and changes nothing")
    func replay() async throws {
        try await LiveServer.run { live in
            let tag = try await live.send("GET", "/api/v1/services/shop/constraints").headers["etag"] ?? ""
            let headers = ["If-Match": tag, "Idempotency-Key": "\"raise-1\""]
            let path = "/api/v1/services/shop/constraints"
            let first = try await live.send("PATCH", path, body: Self.change, headers: headers)
            #expect(first.status == 200 && first.headers["idempotency-replayed"] == nil)
            let second = try await live.send("PATCH", path, body: Self.change, headers: headers)
            #expect(second.status == 200 && second.body == first.body)
            #expect(second.headers["etag"] == first.headers["etag"])
            #expect(second.headers["idempotency-replayed"] == "true")
            let events = try await live.send("GET", "/api/v1/events?kind=constraint.changed")
            #expect(try events.value(API.Page<API.Event>.self).items.count == 1)
            // Without the key the same request is based on what is no longer there.
            #expect(
                try await live.send("PATCH", path, body: Self.change, headers: ["If-Match": tag]).status == 412)
        }
    }

    @Test("a key belongs to who sent it")
    func ownKeys() async throws {
        try await LiveServer.run { live in
            let headers = ["If-Match": "*", "Idempotency-Key": "same"]
            let path = "/api/v1/services/shop/constraints"
            _ = try await live.send("PATCH", path, as: .administrator, body: Self.change, headers: headers)
            let other = try await live.send("PATCH", path, as: .operator, body: Self.change, headers: headers)
            #expect(other.status == 200 && other.headers["idempotency-replayed"] == nil)
        }
    }

    @Test("a refused request changed nothing and may be tried again under its key")
    func refused() async throws {
        try await LiveServer.run { live in
            let path = "/api/v1/services/shop/constraints"
            let stale = ["If-Match": "\"old\"", "Idempotency-Key": "again"]
            let refused = try await live.send("PATCH", path, body: Self.change, headers: stale)
            #expect(refused.status == 412)
            let right = ["If-Match": "*", "Idempotency-Key": "again"]
            let done = try await live.send("PATCH", path, body: Self.change, headers: right)
            #expect(done.status == 200)
        }
    }

    @Test("a key that is no key is refused", arguments: ["", "with space", String(repeating: "x", count: 256)])
    func badKey(key: String) async throws {
        try await LiveServer.run { live in
            let answer = try await live.send(
                "POST", "/api/v1/instances/nobody/drain", headers: ["Idempotency-Key": "\"\(key)\""])
            #expect(answer.status == 400)
        }
    }

    @Test("no secret is kept for a repeated answer, or anywhere else")
    func secrets() async throws {
        try await LiveServer.run { live in
            let key = ["Idempotency-Key": "once"]
            let made = try await live.send("POST", "/api/v1/consumers/acme/credentials", body: "{}", headers: key)
            let secret = try #require(try made.value(API.CreatedCredential.self).key)
            let again = try await live.send("POST", "/api/v1/consumers/acme/credentials", body: "{}", headers: key)
            #expect(again.status == 201)
            #expect(try again.value(API.CreatedCredential.self).key == nil)
            #expect(
                try again.value(API.CreatedCredential.self).credential
                    == made.value(API.CreatedCredential.self).credential)
            let person = try await live.send(
                "POST", "/api/v1/administrators", body: #"{"name":"ada","role":"auditor"}"#,
                headers: ["Idempotency-Key": "person"])
            let token = try #require(try person.value(API.CreatedAdministrator.self).token)
            let personAgain = try await live.send(
                "POST", "/api/v1/administrators", body: #"{"name":"ada","role":"auditor"}"#,
                headers: ["Idempotency-Key": "person"])
            #expect(try personAgain.value(API.CreatedAdministrator.self).token == nil)
            _ = try await live.send(
                "GET", "/api/v1/whoami", as: nil, headers: ["Authorization": "Bearer cwa_a-wrong-token-that-was-typed"])
            #expect(
                try await live.send(
                    "GET", "/api/v1/whoami", as: nil, headers: ["Authorization": "Bearer \(token)"]
                ).status == 200)
            let files = try FileManager.default.contentsOfDirectory(
                at: live.directory, includingPropertiesForKeys: [.isRegularFileKey])
            #expect(!files.isEmpty)
            for file in files where try file.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile == true {
                let bytes = try Data(contentsOf: file)
                for text in [secret, token, "a-wrong-token-that-was-typed"] + live.tokens.values {
                    #expect(bytes.range(of: Data(text.utf8)) == nil, "a secret is in \(file.lastPathComponent)")
                }
            }
        }
    }
}
