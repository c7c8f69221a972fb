import AdministrationAPI
import AdministrationFixture
import CloudModel
import CloudPorts
import Foundation
import RemoteAdministration
import Testing

/// The API document against the live server, both ways.
@Suite struct DocumentTests {
    /// A documented answer of a documented route.
    private struct Pair: Hashable, CustomStringConvertible {
        var route: String
        var status: Int
        var description: String { "\(route) \(status)" }
    }

    /// Sends requests and checks every answer against the document.
    private final class Walk {
        let live: LiveServer
        let document: [String: Any]
        let checker: SchemaChecker
        var seen: Set<Pair> = []

        init(_ live: LiveServer) async throws {
            self.live = live
            let served = try await live.send("GET", "/openapi.json", as: nil)
            document = try JSONSerialization.jsonObject(with: served.body) as? [String: Any] ?? [:]
            checker = SchemaChecker(document: document)
        }

        func operation(_ route: RouteDescription) -> [String: Any]? {
            let paths = document["paths"] as? [String: [String: Any]]
            return paths?[route.path]?[route.method.lowercased()] as? [String: Any]
        }

        var documented: Set<Pair> {
            Set(
                RouteDescription.all.flatMap { route in
                    let responses = operation(route)?["responses"] as? [String: Any] ?? [:]
                    return responses.keys.compactMap { Int($0).map { Pair(route: route.name, status: $0) } }
                })
        }

        @discardableResult
        func send(
            _ route: RouteDescription, _ path: String, as role: Administrator.Role? = .administrator,
            body: String? = nil, headers: [String: String] = [:]
        ) async throws -> LiveServer.Answer {
            let body = body?.replacingOccurrences(of: "TOKEN", with: live.tokens[.operator] ?? "")
            let answer = try await live.send(route.method, path, as: role, body: body, headers: headers)
            check(answer, of: route)
            return answer
        }

        func check(_ answer: LiveServer.Answer, of route: RouteDescription) {
            seen.insert(Pair(route: route.name, status: answer.status))
            let responses = operation(route)?["responses"] as? [String: Any]
            guard let response = responses?[String(answer.status)] as? [String: Any] else {
                Issue.record("\(route.name) answered \(answer.status), which is not documented: \(answer.text)")
                return
            }
            guard let content = response["content"] as? [String: [String: Any]] else {
                #expect(answer.body.isEmpty, "\(route.name) \(answer.status) has a body that is not documented")
                return
            }
            let mediaType = answer.headers["content-type"] ?? ""
            guard let media = content[mediaType] else {
                Issue.record("\(route.name) \(answer.status) is \(mediaType), documented is \(content.keys)")
                return
            }
            for header in (response["headers"] as? [String: Any] ?? [:]).keys {
                #expect(answer.headers[header.lowercased()] != nil, "\(route.name) lacks \(header)")
            }
            guard mediaType.hasSuffix("json"), let schema = media["schema"],
                let value = try? JSONSerialization.jsonObject(with: answer.body)
            else { return }
            #expect(checker.faults(value, schema).isEmpty, "\(route.name) \(answer.status): \(answer.text)")
        }
    }

    @Test("the document names exactly the routes of the server")
    func sameRoutes() async throws {
        try await LiveServer.run { live in
            let walk = try await Walk(live)
            #expect(walk.document["openapi"] as? String == "3.1.0")
            let paths = walk.document["paths"] as? [String: [String: Any]] ?? [:]
            let documented = Set(paths.flatMap { path, methods in methods.keys.map { "\($0.uppercased()) \(path)" } })
            #expect(documented == Set(RouteDescription.all.map { "\($0.method) \($0.path)" }))
            for route in RouteDescription.all {
                #expect(walk.operation(route)?["operationId"] as? String == route.name)
                #expect(walk.operation(route)?["x-minimum-right"] as? String == route.right)
            }
        }
    }

    @Test("every documented answer is given, and none that is not documented")
    func everyAnswer() async throws {
        var seen: Set<Pair> = []
        var documented: Set<Pair> = []
        try await LiveServer.run { live in
            try await Samples.fill(live)
            let walk = try await Walk(live)
            for route in RouteDescription.all { try await refusals(of: route, walk) }
            try await special(walk)
            try await repeated(walk)
            // Those that take something away come last.
            let order =
                RouteDescription.all.filter { $0.method == "GET" } + RouteDescription.all.filter { $0.method != "GET" }
            let streams = ["followEvents", "openVirtualServerConsole", "openVirtualServerDisplay"]
            for route in order where !streams.contains(route.name) { try await success(of: route, walk) }
            try await tooManyFailures(walk)
            try await withoutDatabase(walk)
            seen = walk.seen
            documented = walk.documented
        }
        // Read as a stream in the tests of event streams.
        seen.insert(Pair(route: "followEvents", status: 200))
        // As a WebSocket, and for two at once, in those of virtual servers' consoles.
        for name in ["openVirtualServerConsole", "openVirtualServerDisplay"] {
            seen.formUnion([101, 409].map { Pair(route: name, status: $0) })
        }
        let missing = documented.subtracting(seen).map(\.description).sorted()
        #expect(missing.isEmpty, "documented but never answered: \(missing)")
        let extra = seen.subtracting(documented).map(\.description).sorted()
        #expect(extra.isEmpty, "answered but not documented: \(extra)")
    }

    private func success(of route: RouteDescription, _ walk: Walk) async throws {
        var sample = Samples.request(route)
        if route.name == "revokeCredential" {
            let made = try await walk.live.cloud.createCredential(for: "acme", expiresAt: nil, actor: "test")
            sample.path = "/api/v1/consumers/acme/credentials/\(made.credential.id)"
        }
        if route.name == "importImage" { sample.path += "?name=tiny&format=raw" }
        if route.name == "proveBill" {
            _ = try await walk.live.send("POST", sample.path.replacing("/proof", with: "/close"))
        }
        if let own = try await SecondFactorTests.request(route.name, walk.live) {
            (sample.path, sample.body) = (own.path, own.body)
        }
        let answer = try await walk.send(route, sample.path, body: sample.body, headers: sample.headers)
        #expect(answer.status == route.answerStatus, "\(route.name): \(answer.text)")
    }

    private static let tooMany = [
        "applyConfiguration": 4_194_305, "recommendSize": 4_194_305, "reportUsageEvents": 1_048_577,
        "importImage": 2_097_153,
    ]

    /// What every route refuses because of its properties.
    private func refusals(of route: RouteDescription, _ walk: Walk) async throws {
        let sample = Samples.request(route)
        let unknown = try await walk.send(
            route, sample.path + "?nonsense=1", body: sample.body, headers: sample.headers)
        #expect(unknown.status == 400 && unknown.text.contains("nonsense"), "\(route.name)")
        if route.right != "open" {
            #expect(try await walk.send(route, sample.path, as: nil).status == 401)
        }
        if ["read", "report", "operate", "administer"].contains(route.right) {
            #expect(try await walk.send(route, sample.path, as: .consumer).status == 403)
        }
        if route.hasBody {
            let wrongType = try await walk.send(
                route, sample.path, body: sample.body, headers: ["Content-Type": "text/plain", "If-Match": "*"])
            #expect(wrongType.status == 415 && wrongType.text.contains("application/"), "\(route.name)")
            let huge = String(repeating: " ", count: Self.tooMany[route.name] ?? 65_537)
            let tooLarge = try await walk.send(
                route, sample.path, body: huge, headers: sample.headers.merging(["If-Match": "*"]) { $1 })
            #expect(tooLarge.status == 413, "\(route.name)")
        }
        if route.path.contains("{") {
            var path = route.path
            while let open = path.firstIndex(of: "{"), let end = path.firstIndex(of: "}") {
                path.replaceSubrange(open...end, with: "nobody")
            }
            if route.name == "getUsageRecord" {
                path = path.replacing("nobody", with: String(repeating: "f", count: 32))
            }
            let missing = try await walk.send(route, path, body: sample.body, headers: sample.headers)
            #expect(missing.status == 404, "\(route.name) \(missing.text)")
        }
        if route.needsIfMatch {
            #expect(try await walk.send(route, sample.path, body: sample.body).status == 428)
            let stale = try await walk.send(route, sample.path, body: sample.body, headers: ["If-Match": "\"old\""])
            #expect(stale.status == 412, "\(route.name)")
        }
    }

    /// What single routes refuse.
    private func special(_ walk: Walk) async throws {
        func route(_ name: String) -> RouteDescription { RouteDescription.all.first { $0.name == name }! }
        await walk.live.cloud.setPart("spool", "the disk is full")
        #expect(try await walk.send(route("getHealth"), "/healthz", as: nil).status == 503)
        await walk.live.cloud.setPart("spool", "ok")
        try await walk.send(route("openVirtualServerConsole"), "/api/v1/virtual-servers/shop-1/console")
        try await walk.send(route("openVirtualServerDisplay"), "/api/v1/virtual-servers/shop-1/display")
        let raw = ["Content-Type": "application/octet-stream"]
        for (length, status) in [(512, 201), (512, 409), (1_572_864, 507)] {
            let answer = try await walk.send(
                route("importImage"), "/api/v1/images?name=twice\(status == 507 ? "-large" : "")&format=raw",
                body: String(repeating: "i", count: length), headers: raw)
            #expect(answer.status == status, "\(answer.text)")
        }
        for name in ["getConstraintOffer", "acceptConstraintOffer"] {
            #expect(try await walk.send(route(name), "/api/v1/constraint-changes/\(Samples.spentLink)").status == 410)
        }
        let orphan = ConstraintOffer(service: "gone", constraint: .maximumInstances, from: 1, to: 2)
        await walk.live.cloud.addLink("orphan", orphan)
        #expect(
            try await walk.send(route("acceptConstraintOffer"), "/api/v1/constraint-changes/orphan").status == 409)
        try await walk.send(route("createSession"), "/api/v1/sessions", as: nil, body: #"{"token":"cwa_wrong"}"#)
        try await walk.send(
            route("createConsoleSession"), ConsoleTests.path, as: nil, body: #"{"token":"cwa_wrong"}"#)
        try await walk.send(
            route("setPassword"), Samples.request(route("setPassword")).path, as: .operator,
            body: #"{"password":"a long enough one"}"#)
        for name in ["getSecondFactor", "enrolSecondFactor", "confirmSecondFactor", "removeSecondFactor"] {
            let sample = Samples.request(route(name))
            #expect(try await walk.send(route(name), sample.path, as: .operator, body: sample.body).status == 403)
            guard name != "getSecondFactor" else { continue }
            // There is no password, nothing was begun, and nothing is there to be removed.
            let path = sample.path.replacing("test-auditor", with: "test-operator")
            #expect(try await walk.send(route(name), path, as: .operator, body: sample.body).status == 409)
        }
        let cookie = try await ConsoleTests.logIn(walk.live, as: .operator).cookie
        try await walk.send(route("endConsoleSession"), ConsoleTests.path, as: nil, headers: ["Cookie": cookie])
        for name in ["proveBill", "verifyBill"] {
            try await walk.send(route(name), Samples.request(route(name)).path)
        }
        for name in [
            "rankFailedLogins", "listAuditEvents", "exportAuditEvents", "reportUsage", "listUsageRecords",
            "listBudgets", "exportUsage", "listBills",
            "reconcile",
        ] {
            let path = route(name).path + (name == "rankFailedLogins" ? "" : "?consumer=globex")
            try await walk.send(route(name), path, as: .consumer)
        }
    }

    /// The same key for another request, and while the first one is worked on.
    private func repeated(_ walk: Walk) async throws {
        for route in RouteDescription.all where route.isRepeatable {
            let sample = Samples.request(route)
            var headers = sample.headers
            headers["Idempotency-Key"] = "key-\(route.name)"
            try await IdempotencyTests.remember(walk.live, key: "key-\(route.name)")
            let reused = try await walk.send(route, sample.path, body: sample.body, headers: headers)
            #expect(reused.status == 422, "\(route.name) \(reused.text)")
            try await IdempotencyTests.whileRunning(walk.live, key: "busy-\(route.name)") {
                headers["Idempotency-Key"] = "busy-\(route.name)"
                let busy = try await walk.send(route, sample.path, body: sample.body, headers: headers)
                #expect(busy.status == 409, "\(route.name) \(busy.text)")
            }
        }
    }

    private func tooManyFailures(_ walk: Walk) async throws {
        for _ in 0..<20 { _ = try await walk.live.send("GET", "/api/v1/whoami", as: nil, headers: wrongToken) }
        for route in RouteDescription.all where route.right != "open" {
            let sample = Samples.request(route)
            let answer = try await walk.send(route, sample.path, as: nil, headers: wrongToken)
            #expect(answer.status == 429, "\(route.name)")
        }
        for name in ["createSession", "createConsoleSession", "getConstraintOffer", "acceptConstraintOffer"] {
            guard let route = RouteDescription.all.first(where: { $0.name == name }) else { continue }
            let path = route.path.replacing("{token}", with: "wrong-link")
            let answer = try await walk.send(
                route, path, as: nil, body: name == "getConstraintOffer" ? nil : #"{"token":"cwa_wrong"}"#)
            #expect(answer.status == 429, "\(route.name)")
            #expect(answer.headers["retry-after"] != nil)
        }
    }

    private let wrongToken = ["Authorization": "Bearer cwa_wrong"]

    private func withoutDatabase(_ walk: Walk) async throws {
        let cookie = try await ConsoleTests.logIn(walk.live, as: .operator).cookie
        walk.live.database.setAvailable(false)
        let others = ["createSession", "createConsoleSession", "getConsoleSession"]
        for route in RouteDescription.all where route.right != "open" || others.contains(route.name) {
            var sample = Samples.request(route)
            if route.name == "getConsoleSession" { sample.headers["Cookie"] = cookie }
            // The list of administrators is kept for a second.
            let isAway = try await eventually {
                try await walk.live.send(
                    "POST", "/api/v1/sessions", as: nil, body: #"{"token":"cwa_wrong"}"#
                ).status == 503
            }
            #expect(isAway)
            let answer = try await walk.send(route, sample.path, body: sample.body, headers: sample.headers)
            #expect(answer.status == 503, "\(route.name)")
            #expect(answer.headers["retry-after"] != nil)
        }
        for name in ["getConstraintOffer", "acceptConstraintOffer"] {
            guard let route = RouteDescription.all.first(where: { $0.name == name }) else { continue }
            await walk.live.cloud.addLink("unstored", Samples.offer, .unavailable)
            try await walk.send(route, "/api/v1/constraint-changes/unstored")
        }
    }
}
