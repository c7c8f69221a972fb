import AdministrationFixture
import CloudPorts
import RemoteAdministration
import Testing

@Suite struct AuthorisationTests {
    /// Who may do what, written down apart from the table that is tested.
    private static let minimum: [String: String] = [
        "getHealth": "open", "getMetrics": "open", "getAPIDocument": "open", "createSession": "open",
        "getConstraintOffer": "open", "acceptConstraintOffer": "open",
        "whoAmI": "own", "reportUsage": "own", "listUsageRecords": "own", "getUsageRecord": "own",
        "listAuditEvents": "own", "exportAuditEvents": "own", "rankFailedLogins": "own", "listNotifications": "own",
        "eraseLogins": "administer", "verifyLogs": "read", "showVerificationKey": "read",
        "listBudgets": "own", "exportUsage": "own", "reportUsageEvents": "report", "listBills": "own",
        "getBill": "own", "getBillPage": "own", "exportBill": "own",
        "proveBill": "own", "verifyBill": "own", "replayScaling": "read",
        "recommendSize": "read", "getOverview": "read",
        "reconcile": "own",
        "closeBill": "operate", "createCredit": "operate",
        "listPhysicalServers": "read", "listVirtualServers": "read", "confirmPhysicalServerOff": "operate",
        "renewPhysicalServerLease": "operate",
        "planPhysicalServerDrain": "read", "drainPhysicalServer": "operate", "abortPhysicalServerDrain": "operate",
        "activatePhysicalServer": "operate", "planRebalancing": "read", "rebalance": "operate",
        "abortRebalancing": "operate",
        "migrateVirtualServer": "operate", "abortMigration": "operate",
        "openVirtualServerConsole": "operate", "openVirtualServerDisplay": "operate", "listImages": "read",
        "importImage": "operate",
        "removeImage": "operate", "suspendVirtualServer": "operate",
        "resumeVirtualServer": "operate",
        "listServices": "read", "getService": "read", "getConstraints": "read", "listFailoverGroups": "read",
        "listInstances": "read", "getInstance": "read", "listTraffic": "read", "listConsumers": "read",
        "getConsumer": "read",
        "getConfiguration": "read", "listOperations": "read", "getOperation": "read", "listEvents": "read",
        "followEvents": "read", "listTimelines": "read", "listIncidents": "read",
        "setConstraint": "operate", "reportMetric": "operate", "drainInstance": "operate", "enableInstance": "operate",
        "maintenanceInstance": "operate", "restartInstance": "operate", "applyConfiguration": "operate",
        "createCredential": "administer", "revokeCredential": "administer", "listAdministrators": "administer",
        "createAdministrator": "administer", "removeAdministrator": "administer",
        "createConsoleSession": "open", "getConsoleSession": "open", "endConsoleSession": "own", "setPassword": "own",
        "getSecondFactor": "own", "enrolSecondFactor": "own", "confirmSecondFactor": "own",
        "removeSecondFactor": "own",
    ]

    private static let allowed: [String: Set<Administrator.Role>] = [
        "own": [.administrator, .operator, .auditor, .consumer], "read": [.administrator, .operator, .auditor],
        "report": [.administrator, .operator, .reporter],
        "operate": [.administrator, .operator], "administer": [.administrator],
    ]

    @Test("every route is in the list of rights, and the other way round")
    func complete() {
        #expect(Set(RouteDescription.all.map(\.name)) == Set(Self.minimum.keys))
        #expect(Set(RouteDescription.all.map(\.name)).count == RouteDescription.all.count)
        for route in RouteDescription.all { #expect(route.right == Self.minimum[route.name], "\(route.name)") }
    }

    @Test("a role reaches exactly the routes that it has the right to", arguments: Administrator.Role.allCases)
    func walk(role: Administrator.Role) async throws {
        try await LiveServer.run { live in
            try await Samples.fill(live)
            for route in RouteDescription.all where route.right != "open" {
                // What is not there is looked for only by those who may: nothing changes for the routes that follow.
                var path = route.path
                for name in ["service", "instance", "consumer", "credential", "operation", "administrator", "image"] {
                    path = path.replacing("{\(name)}", with: "nobody")
                }
                path = path.replacing("{requestID}", with: "0000000000000000000000000000ffff")
                // A stream would not end.
                let method = route.name == "followEvents" ? "HEAD" : route.method
                let answer = try await live.send(method, path, as: role)
                let isAllowed = Self.allowed[Self.minimum[route.name] ?? ""]?.contains(role) ?? false
                // A consumer is told to name a service that it rents.
                // Of others only an administrator sees whether they have a second factor.
                let ownRefusal =
                    role == .consumer && route.name == "rankFailedLogins"
                    || role != .administrator && route.name == "getSecondFactor"
                #expect((answer.status == 403) == (!isAllowed || ownRefusal), "\(role) \(route.name) \(answer.status)")
                #expect(answer.status != 401, "\(role) \(route.name)")
            }
        }
    }

    @Test("without a token, or with a wrong one, only the open routes answer")
    func withoutToken() async throws {
        try await LiveServer.run { live in
            for route in RouteDescription.all where route.right != "open" {
                let answer = try await live.send(
                    route.method, route.path.replacing("{", with: "").replacing("}", with: ""), as: nil)
                #expect(answer.status == 401, "\(route.name)")
                #expect(answer.headers["www-authenticate"] == "Bearer realm=\"cloudwright\"")
                #expect(answer.headers["content-type"] == "application/problem+json")
            }
            for path in ["/healthz", "/metrics", "/openapi.json"] {
                #expect(try await live.send("GET", path, as: nil).status == 200, "\(path)")
            }
        }
    }

    @Test("a consumer sees what is its own, and nothing of others")
    func own() async throws {
        try await LiveServer.run { live in
            try await Samples.fill(live)
            let logins = try await live.send("GET", "/api/v1/audit/events", as: .consumer)
            #expect(logins.text.contains("\"acme\"") && !logins.text.contains("globex"))
            let rented = try await live.send("GET", "/api/v1/audit/events?service=shop", as: .consumer)
            #expect(rented.text.contains("globex"), "acme rents the shop and sees all logins to it")
            let told = try await live.send("GET", "/api/v1/notifications", as: .consumer)
            #expect(told.text.contains("told-acme") && !told.text.contains("told-globex"))
            #expect(!told.text.contains("told-all"))
            for path in ["/api/v1/usage", "/api/v1/usage/records"] {
                let usage = try await live.send("GET", path, as: .consumer)
                #expect(usage.status == 200 && usage.text.contains("acme") && !usage.text.contains("globex"), "\(path)")
                #expect(try await live.send("GET", path + "?consumer=globex", as: .consumer).status == 403)
            }
            let other = try await live.send(
                "GET", "/api/v1/usage/records/00000000000000090000000000000002", as: .consumer)
            #expect(other.status == 404)
            #expect(try await live.send("GET", "/api/v1/audit/events?consumer=globex", as: .consumer).status == 403)
            #expect(try await live.send("GET", "/api/v1/audit/failed-logins?service=shop", as: .consumer).status == 200)
            #expect(try await live.send("GET", "/api/v1/audit/failed-logins?service=wiki", as: .consumer).status == 403)
        }
    }

    @Test("an operator cannot make itself a key through the configuration")
    func credentialsByConfiguration() async throws {
        try await LiveServer.run { live in
            let digest = String(repeating: "ab", count: 32)
            let body = """
                {"resources":[{"apiVersion":"cloudwright/v1","kind":"Cloud","metadata":{"name":"testcloud"},"spec":{}},\
                {"apiVersion":"cloudwright/v1","kind":"CloudConsumer","metadata":{"name":"acme"},"spec":{"credentials":\
                [{"id":"mine","prefix":"cw_mine","digest":"\(digest)"}]}}]}
                """
            let refused = try await live.send(
                "PUT", "/api/v1/configuration", as: .operator, body: body, headers: ["If-Match": "*"])
            #expect(refused.status == 403)
            #expect(await live.cloud.configuration() == LiveServer.configuration)
            let done = try await live.send(
                "PUT", "/api/v1/configuration", as: .administrator, body: body, headers: ["If-Match": "*"])
            #expect(done.status == 200)
            #expect(await live.cloud.configuration().consumers.first?.credentials.first?.digest == digest)
        }
    }
}
