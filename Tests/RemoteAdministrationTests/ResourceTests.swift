import AdministrationAPI
import AdministrationFixture
import CloudModel
import CloudPorts
import ConfigurationFile
import Foundation
import Testing

/// What the routes show and do.
@Suite struct ResourceTests {
    @Test("services come with constraints, instances and load")
    func services() async throws {
        try await LiveServer.run { live in
            try await Samples.fill(live)
            let services = try await live.send("GET", "/api/v1/services", as: .auditor)
                .value(API.Page<API.Service>.self).items
            #expect(services.map(\.id) == ["shop", "wiki"])
            let shop = try #require(services.first)
            #expect(shop.constraints.maximumInstances == 3 && shop.failoverGroup == "shop-group")
            #expect(shop.instances.map(\.id) == ["shop-1", "shop-2"] && shop.load?.requestsInFlight == 2)
            #expect(shop.instances.first?.endpoint == "127.0.0.1:4001" && shop.instances.first?.processID == 4_711)
            #expect(services.last?.source == .endpoints && services.last?.load == nil)
            let groups = try await live.send("GET", "/api/v1/failover-groups").value(API.Page<API.FailoverGroup>.self)
            #expect(groups.items.first?.instances.count == 2)
            let some = try await live.send("GET", "/api/v1/instances?service=wiki").value(API.Page<API.Instance>.self)
            #expect(some.items.isEmpty)
        }
    }

    @Test("services are searched and given in parts, each of them once")
    func parts() async throws {
        try await LiveServer.run { live in
            try await Samples.fill(live)
            func page(_ query: String) async throws -> API.Page<API.Service> {
                try await live.send("GET", "/api/v1/services?\(query)", as: .auditor)
                    .value(API.Page<API.Service>.self)
            }
            let first = try await page("limit=1")
            #expect(first.items.map(\.id) == ["shop"] && first.items.first?.instances.count == 2)
            let cursor = try #require(first.nextCursor)
            let second = try await page("limit=1&cursor=\(cursor)")
            #expect(second.items.map(\.id) == ["wiki"] && second.nextCursor == nil)
            #expect(try await page("search=IK").items.map(\.id) == ["wiki"])
            #expect(try await page("search=nothing").items.isEmpty)
            let path = "/api/v1/instances?limit=1&search=shop"
            let instances = try await live.send("GET", path).value(API.Page<API.Instance>.self)
            #expect(instances.items.map(\.id) == ["shop-1"] && instances.nextCursor == "shop-1")
        }
    }

    @Test("a constraint is changed on the version that was read, or not at all")
    func constraint() async throws {
        try await LiveServer.run { live in
            let path = "/api/v1/services/shop/constraints"
            let tag = try await live.send("GET", path, as: .operator).headers["etag"] ?? ""
            let body = #"{"constraint":"maximum-instances","value":4}"#
            let done = try await live.send("PATCH", path, as: .operator, body: body, headers: ["If-Match": tag])
            #expect(try done.value(API.Constraints.self).maximumInstances == 4)
            #expect(done.headers["etag"] != tag)
            #expect(try await live.send("GET", path).headers["etag"] == done.headers["etag"])
            let stale = try await live.send("PATCH", path, as: .operator, body: body, headers: ["If-Match": tag])
            #expect(stale.status == 412)
            let either = "\"none\", \(done.headers["etag"] ?? "")"
            #expect(try await live.send("PATCH", path, body: body, headers: ["If-Match": either]).status == 200)
            let invalid = try await live.send(
                "PATCH", path, body: #"{"constraint":"maximum-instances","value":0}"#, headers: ["If-Match": "*"])
            #expect(invalid.status == 400 && invalid.problem?.faults.first?.detail.contains("1 or more") == true)
            let events = try await live.send("GET", "/api/v1/events?kind=constraint").value(API.Page<API.Event>.self)
            #expect(events.items.map(\.actor) == ["test-operator", "test-administrator"])
        }
    }

    @Test("of changes based on the same version only one is made")
    func race() async throws {
        try await LiveServer.run { live in
            let path = "/api/v1/services/shop/constraints"
            let tag = try await live.send("GET", path).headers["etag"] ?? ""
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for value in 10..<20 {
                    group.addTask {
                        try await live.send(
                            "PATCH", path, body: #"{"constraint":"maximum-instances","value":\#(value)}"#,
                            headers: ["If-Match": tag]
                        ).status
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(statuses.filter { $0 == 200 }.count == 1)
            #expect(statuses.filter { $0 == 412 }.count == 9)
        }
    }

    @Test("a command to an instance is an operation that can be followed")
    func operation() async throws {
        try await LiveServer.run { live in
            try await Samples.fill(live)
            let begun = try await live.send("POST", "/api/v1/instances/shop-1/drain", as: .operator)
            #expect(begun.status == 202)
            let location = try #require(begun.headers["location"])
            let operation = try await live.send("GET", location).value(API.Operation.self)
            #expect(operation.kind == "instance.draining" && operation.actor == "test-operator")
            #expect(operation.state == .succeeded && operation.endedAt != nil)
            let instance = try await live.send("GET", "/api/v1/instances/shop-1").value(API.Instance.self)
            #expect(instance.administrative == .draining)
            let all = try await live.send("GET", "/api/v1/operations").value(API.Page<API.Operation>.self).items
            #expect(all.map(\.id) == ["op-1", "op-0"])
        }
    }

    @Test("an exported configuration is applied without a change, as JSON and as YAML")
    func configurationRoundTrip() async throws {
        try await LiveServer.run { live in
            _ = try await live.cloud.createCredential(for: "acme", expiresAt: Samples.began, actor: "test")
            let before = await live.cloud.configuration()
            for (mediaType, accept) in [
                ("application/json", "application/json"), ("application/yaml", "application/yaml"),
            ] {
                let got = try await live.send("GET", "/api/v1/configuration", headers: ["Accept": accept])
                #expect(got.headers["content-type"] == mediaType)
                let put = try await live.send(
                    "PUT", "/api/v1/configuration", as: .operator, body: got.text,
                    headers: ["If-Match": got.headers["etag"] ?? "", "Content-Type": mediaType])
                #expect(put.status == 200, "\(put.text)")
                #expect((try? put.value(API.ConfigurationOutcome.self))?.changes.isEmpty == true, "\(put.text)")
                #expect(put.headers["etag"] == got.headers["etag"])
            }
            #expect(await live.cloud.configuration() == before)
            let yaml = try await live.send("GET", "/api/v1/configuration", headers: ["Accept": "application/yaml"])
            let document = try ConfigurationDocument(parsing: yaml.text, file: "exported")
            #expect(document.configuration == before)
        }
    }

    @Test("a dry run tells the changes and makes none; applying keeps the keys")
    func applying() async throws {
        try await LiveServer.run { live in
            let made = try await live.cloud.createCredential(for: "acme", expiresAt: nil, actor: "test")
            let yaml = """
                apiVersion: cloudwright/v1
                kind: Cloud
                metadata: {name: testcloud}
                spec: {instanceLease: 30s}
                ---
                apiVersion: cloudwright/v1
                kind: CloudConsumer
                metadata: {name: acme}
                spec: {displayName: New name}
                """
            let headers = ["Content-Type": "application/yaml", "If-Match": "*"]
            let before = await live.cloud.configuration()
            let dry = try await live.send(
                "PUT", "/api/v1/configuration?dryRun=true", body: yaml, headers: ["Content-Type": "application/yaml"])
            let planned = try dry.value(API.ConfigurationOutcome.self)
            #expect(!planned.applied)
            #expect(await live.cloud.configuration() == before)
            let words = planned.changes.map { "\($0.change.rawValue) \($0.kind)/\($0.name)" }
            #expect(
                Set(words) == [
                    "changed Cloud/testcloud", "changed CloudConsumer/acme", "removed CloudConsumer/globex",
                    "removed CloudService/shop", "removed CloudService/wiki", "removed FailoverGroup/shop-group",
                    "removed PricePlan/standard",
                ])
            #expect(planned.changes.first { $0.kind == "Cloud" }?.details.first?.contains("not applied") == true)
            let done = try await live.send("PUT", "/api/v1/configuration", body: yaml, headers: headers)
            #expect(try done.value(API.ConfigurationOutcome.self).changes == planned.changes)
            let after = await live.cloud.configuration()
            #expect(after.services.isEmpty && after.consumers.map(\.displayName) == ["New name"])
            #expect(after.consumers.first?.credentials == [made.credential])
        }
    }

    @Test("a faulty configuration is told fault by fault")
    func faultyConfiguration() async throws {
        try await LiveServer.run { live in
            let yaml = "apiVersion: cloudwright/v1\nkind: Cloud\nmetadata: {name: x}\nspec:\n  instanceLease: soon\n"
            let answer = try await live.send(
                "PUT", "/api/v1/configuration", body: yaml,
                headers: ["Content-Type": "application/yaml", "If-Match": "*"])
            #expect(answer.status == 400)
            #expect(answer.problem?.faults.first?.detail.contains("line 5") == true, "\(answer.text)")
            let json = """
                {"resources":[{"apiVersion":"cloudwright/v1","kind":"Cloud","metadata":{"name":"x"},"spec":{}},\
                {"apiVersion":"cloudwright/v1","kind":"CloudConsumer","metadata":{"name":"B"},"spec":{}}]}
                """
            let second = try await live.send(
                "PUT", "/api/v1/configuration", body: json, headers: ["If-Match": "*"])
            #expect(second.problem?.faults.first?.pointer == "/resources/1", "\(second.text)")
            for body in ["[]", "{}", #"{"resources":{}}"#, "nonsense"] {
                let refused = try await live.send(
                    "PUT", "/api/v1/configuration", body: body, headers: ["If-Match": "*"])
                #expect(refused.status == 400 && refused.text.contains("resources"), "\(body)")
            }
        }
    }

    @Test("timelines are the steps of each run, from all three sources")
    func timelines() async throws {
        try await LiveServer.run { live in
            try await Samples.fill(live)
            func runs(_ query: String) async throws -> [API.Timeline] {
                try await live.send("GET", "/api/v1/timelines?" + query).value(API.Page<API.Timeline>.self).items
            }
            let scaling = try await runs("mechanism=automated-scaling-listener")
            #expect(scaling.map(\.incident) == ["limit/shop"])
            #expect(scaling.first?.steps.map(\.number) == ["1", "2", "3", "4", "5"])
            #expect(scaling.first?.steps.map(\.sinceStartMicroseconds) == (0..<5).map { $0 * 1_000_000 })
            let metering = try await runs("mechanism=pay-per-use-monitoring-agent&last=1")
            #expect(metering.count == 1)
            #expect(metering.first?.steps.map(\.number) == ["1", "2", "3a", "3b", "4"])
            #expect(metering.first?.steps.map(\.sinceStartMicroseconds).dropFirst(4) == [1_040])
            let logins = try await runs("mechanism=audit-monitor&incident=\(Samples.requestID)")
            #expect(logins.first?.steps.map(\.number) == ["1", "2", "3", "4", "5", "6"])
            // When the consumer had its answer is what the usage record of the same request says.
            #expect(
                logins.first?.steps.last?.at?.rfc3339 == Samples.usage(Samples.requestID, "acme").completedAt.rfc3339)
            #expect(try await runs("service=wiki").isEmpty)
            let all = try await runs("last=1")
            #expect(Set(all.map(\.mechanism)).count == all.count)
        }
    }

    @Test("a run whose beginning is far back is shown whole")
    func longRun() async throws {
        try await LiveServer.run { live in
            func step(_ incident: String, _ number: Int) -> PlatformEvent {
                PlatformEvent(
                    at: LiveServer.now(), kind: "x",
                    step: TimelineStep(
                        mechanism: .failoverActiveActive, incident: incident, number: "\(number)"), summary: "s")
            }
            try await live.cloud.append([step("long", 1)])
            try await live.cloud.append((0..<2_100).map { step("other-\($0 / 5)", $0 % 5) })
            try await live.cloud.append([step("long", 5)])
            let runs = try await live.send("GET", "/api/v1/timelines?mechanism=failover-active-active&last=1")
                .value(API.Page<API.Timeline>.self).items
            #expect(runs.first?.incident == "long" || runs.first?.steps.count == 5)
            let named = try await live.send(
                "GET", "/api/v1/timelines?mechanism=failover-active-active&incident=long"
            )
            .value(API.Page<API.Timeline>.self).items
            #expect(named.first?.steps.map(\.number) == ["1", "5"])
        }
    }

    @Test("usage is what both agents saw, side by side")
    func usage() async throws {
        try await LiveServer.run { live in
            try await Samples.fill(live)
            let report = try await live.send("GET", "/api/v1/usage").value(API.UsageReport.self)
            let held = try #require(report.resourceAgent.first)
            #expect(report.resourceAgent.count == 1 && held.owner == "acme" && held.instance == "shop-1")
            #expect(held.runningMicroseconds == 100_000_000 && held.cpuMillicoreSeconds == "50000")
            #expect(held.memoryByteSeconds == "26843545600" && !held.inferred)
            #expect(report.monitoringAgent.map(\.consumer) == ["acme", "globex"])
            #expect(report.monitoringAgent.map(\.requests) == [2, 1])
            #expect(report.sideBySide.map(\.requests) == [3] && report.sideBySide.map(\.finding) == [.consistent])
            #expect(report.sideBySide.map(\.busyMicroseconds) == [3_000])
            // Of its own service the consumer sees all requests, of the others its own only.
            let own = try await live.send("GET", "/api/v1/usage", as: .consumer).value(API.UsageReport.self)
            #expect(own.monitoringAgent.map(\.consumer) == ["acme"] && own.sideBySide.map(\.requests) == [3])
            let stranger = try await live.send("GET", "/api/v1/usage?consumer=globex").value(API.UsageReport.self)
            #expect(stranger.monitoringAgent.map(\.requests) == [1])
            #expect(stranger.resourceAgent.isEmpty && stranger.sideBySide.isEmpty)
        }
    }

    @Test("periods divide the sums without loss, and there are not too many of them")
    func periods() async throws {
        try await LiveServer.run { live in
            try await Samples.fill(live)
            let from = Samples.began.rfc3339
            let until = (Samples.began + .minutes(10)).rfc3339
            let report = try await live.send("GET", "/api/v1/usage?periodSeconds=60&from=\(from)&until=\(until)")
                .value(API.UsageReport.self)
            #expect(report.resourceAgent.map(\.runningMicroseconds).reduce(0, +) == 100_000_000)
            #expect(report.resourceAgent.count > 1 && report.periodSeconds == 60)
            #expect(try await live.send("GET", "/api/v1/usage?periodSeconds=60").status == 400)
            let many = try await live.send("GET", "/api/v1/usage?periodSeconds=60&from=2020-01-01")
            #expect(many.status == 400 && many.text.contains("1000"))
        }
    }

    @Test("figures are in the Prometheus text format, with those of the server's owner")
    func metrics() async throws {
        try await LiveServer.run(metrics: { "# TYPE extra gauge\nextra 1\n" }) { live in
            try await Samples.fill(live)
            let answer = try await live.send("GET", "/metrics", as: nil)
            #expect(answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
            let line = #/([a-z_]+)(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? -?[0-9.e+-]+/#
            for text in answer.text.split(separator: "\n") where !text.hasPrefix("#") {
                #expect(text.wholeMatch(of: line) != nil, "\(text)")
            }
            for expected in [
                "cloudwright_healthy 1", "cloudwright_requests_in_flight{service=\"shop\"} 2",
                "cloudwright_service_instances{service=\"shop\",phase=\"running\"} 1",
                "cloudwright_instance_up{service=\"shop\",instance=\"shop-1\"} 1", "cloudwright_event_log_position 5",
                "cloudwright_requests_rejected_total{service=\"shop\"} 3", "cloudwright_open_incidents 1", "extra 1",
            ] { #expect(answer.text.contains(expected + "\n"), "\(expected)") }
            #expect(answer.text.contains("process_resident_memory_bytes"))
            #expect(answer.text.contains("process_cpu_seconds_total"))
        }
    }
}
