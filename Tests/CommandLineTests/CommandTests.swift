import AdministrationAPI
import AdministrationFixture
import CloudModel
import CloudPorts
import Foundation
import Testing
import cloudwright

/// Every command against a live server.
@Suite struct CommandTests {
    private static let began = Timestamp(microseconds: 1_790_000_000_000_000)

    private func fill(_ live: LiveServer) async throws {
        await live.cloud.setInstances([
            ServiceInstance(
                id: "shop-1", service: "shop", phase: .running, operational: .up, incarnation: 1,
                endpoint: Endpoint(address: "127.0.0.1", port: 4_001), requestedAt: Self.began, upSince: Self.began)
        ])
        var transaction = ControlTransaction()
        transaction.events = (1...3).map { number in
            PlatformEvent(
                at: Self.began + .milliseconds(Int64(number) * 250), kind: "failover.step", service: "shop",
                step: TimelineStep(mechanism: .failoverActiveActive, incident: "shop-1/1", number: "\(number)"),
                summary: "step \(number) \u{1B}[31mred")
        }
        transaction.lifecycle = [
            LifecycleEvent(
                instance: "shop-1", incarnation: 1, service: "shop", owner: "acme", kind: .start, at: Self.began,
                resources: ResourceLimits(cpuMillicores: 500)),
            LifecycleEvent(
                instance: "shop-1", incarnation: 1, service: "shop", owner: "acme", kind: .stop,
                at: Self.began + .hours(2)),
        ]
        transaction.operations = [
            CloudModel.Operation(
                id: "op-failed", kind: "instance.restart", actor: "ops", instance: "shop-1", state: .failed,
                startedAt: Self.began, endedAt: Self.began + .seconds(1), failure: "it did not come up")
        ]
        try await live.cloud.commit(transaction)
        let usage = UsageRecord(
            requestID: RequestID(high: 1, low: 1), consumer: "acme", service: "shop", instance: "shop-1",
            outcome: .completed, status: 200, bytesIn: 100, bytesOut: 2_048, receivedAt: Self.began,
            forwardedAt: Self.began, completedAt: Self.began + .milliseconds(20))
        let login = AuditEvent(
            requestID: RequestID(high: 1, low: 2), observer: "testcloud", service: "shop", consumer: nil,
            principal: "mallory\u{1B}[2J", credentialKind: .password, credentialTag: "hmac-sha256:00",
            sourceAddress: "192.0.2.7", userAgent: "", method: "POST", path: "/login", outcome: .failure,
            reason: "bad-credential", status: 401, receivedAt: Self.began, forwardedAt: Self.began,
            respondedAt: Self.began)
        _ = try await live.database.ingest(
            SpoolBatch(source: "gateway/0", firstSequence: 1, records: [.usage(usage), .audit(login)]))
    }

    @Test("lists are aligned tables")
    func tables() async throws {
        try await LiveServer.run { live in
            try await fill(live)
            let services = await live.command("service", "list")
            #expect(services.code == 0 && services.error.isEmpty)
            #expect(
                services.output == """
                    NAME  OWNER  INSTANCES  UP  MAXIMUM  IN FLIGHT  QUEUED  CONSUMERS  REJECTED
                    shop  acme           1   1        3          -       -          -         -
                    wiki  -              0   0        1          -       -          -         -

                    """)
            let instances = await live.command("instance", "list")
            #expect(
                instances.output.contains(
                    "shop-1    shop     up     enabled  active  127.0.0.1:4001       1  2026-09-21"))
            let consumers = await live.command("consumer", "list")
            #expect(consumers.output.contains("acme      Acme 公司  all       -           -    no key  -"))
            #expect((await live.command("failover", "list")).output.contains("shop-group  shop     active-active"))
            #expect(
                (await live.command("constraint", "list", "shop")).output.contains("concurrent-requests-per-consumer"))
            let show = await live.command("service", "show", "shop")
            #expect(show.output.contains("maximum-instances") && show.output.contains("shop-1"))
        }
    }

    @Test("what is not there is said on standard error, with what to do")
    func emptyStates() async throws {
        try await LiveServer.run { live in
            for arguments in [
                ["instance", "list"], ["event", "list"], ["incident", "list"], ["notification", "list"],
            ] {
                var line = CommandLine()
                line.environment["CLOUDWRIGHT_TOKEN"] = live.tokens[.administrator]
                let outcome = await line.run(arguments + ["--server", live.address])
                #expect(outcome.code == 0 && outcome.output.isEmpty && outcome.error.hasSuffix("\n"), "\(arguments)")
                let json = await line.run(arguments + ["--server", live.address, "-o", "json"])
                #expect(json.output.filter { !$0.isWhitespace } == "[]", "\(arguments): \(json.output)")
            }
            let usage = await live.command("usage", "report")
            #expect(usage.code == 0 && usage.error.contains("No usage"))
            #expect((await live.command("timeline")).error.contains("No run"))
        }
    }

    @Test("JSON and YAML are the API's own values")
    func formats() async throws {
        try await LiveServer.run { live in
            try await fill(live)
            let json = await live.command("service", "list", "-o", "json")
            #expect(try json.json([API.Service].self).map(\.id) == ["shop", "wiki"])
            let yaml = await live.command("service", "show", "shop", "-o", "yaml")
            #expect(yaml.output.contains("\nconstraints:\n  minimumInstances: 1\n"), "\(yaml.output)")
            let constraints = await live.command("constraint", "list", "-o", "json")
            #expect(try constraints.json([String: API.Constraints].self)["shop"]?.maximumInstances == 3)
        }
    }

    @Test("a constraint is set and lifted, and both values are told")
    func constraint() async throws {
        try await LiveServer.run { live in
            let raised = await live.command("constraint", "set", "shop", "maximum-instances", "5", role: "operator")
            #expect(raised.output == "shop: maximum-instances 3 → 5\n")
            let lifted = await live.command("constraint", "set", "shop", "concurrent-requests-per-consumer", "none")
            #expect(lifted.output == "shop: concurrent-requests-per-consumer 7 → none\n")
            #expect(await live.cloud.configuration().services.first?.constraints.concurrentRequestsPerConsumer == nil)
        }
    }

    @Test("an instance's command is an operation; a failed one is the command's failure")
    func operations() async throws {
        try await LiveServer.run { live in
            try await fill(live)
            let drained = await live.command("instance", "drain", "shop-1", "--wait")
            #expect(drained.code == 0 && drained.output.contains("succeeded"))
            let waiting = await live.command("instance", "restart", "shop-1", "--wait", "--timeout", "1")
            #expect(waiting.code == 1 && waiting.error.contains("operation show op-2 --wait"))
            let failed = await live.command("operation", "show", "op-failed")
            #expect(failed.code == 1 && failed.output.contains("failed") && failed.error.contains("it did not come up"))
            #expect((await live.command("operation", "list")).output.contains("op-failed"))
        }
    }

    @Test("a timeline has its steps with times since its start")
    func timeline() async throws {
        try await LiveServer.run { live in
            try await fill(live)
            let outcome = await live.command("timeline", "--mechanism", "failover-active-active")
            #expect(
                outcome.output == """
                    failover-active-active  shop  2026-09-21 14:13:20  (shop-1/1)
                    STEP  AT            SINCE START  WHAT HAPPENED
                    1     14:13:20.250  +0.000000 s  step 1 \u{FFFD}[31mred
                    2     14:13:20.500  +0.250000 s  step 2 \u{FFFD}[31mred
                    3     14:13:20.750  +0.500000 s  step 3 \u{FFFD}[31mred

                    """)
        }
    }

    @Test("usage of both agents stands side by side")
    func usage() async throws {
        try await LiveServer.run { live in
            try await fill(live)
            let both = await live.command("usage", "report")
            #expect(
                both.output.contains(
                    """
                    PERIOD  PAYER  SERVICE  INSTANCE    RUNNING  CPU (CORE H)  MEMORY (GIB H)  END
                    -       acme   shop     shop-1    2 h 0 min         1.000           0.000  -
                    """))
            #expect(
                both.output.contains(
                    """
                    PERIOD  CONSUMER  SERVICE  INSTANCE  REQUESTS  REJECTED  FAILED     IN      OUT     BUSY
                    -       acme      shop     shop-1           1         0       0  100 B  2.0 KiB  20.0 ms
                    """))
            #expect(both.output.contains("Side by side") && both.output.contains("consistent"))
            let one = await live.command("usage", "report", "--agent", "monitoring", "-o", "json")
            let report = try one.json(API.UsageReport.self)
            #expect(report.resourceAgent.isEmpty && report.monitoringAgent.count == 1 && report.sideBySide.isEmpty)
            let records = await live.command("usage", "records", "--last", "1")
            #expect(records.output.contains("00000000000000010000000000000001"))
            let periods = await live.command(
                "usage", "report", "--from", "2026-09-21", "--until", "2026-09-22", "--period", "1h")
            #expect(periods.output.contains("2026-09-21 14:00:00") && periods.output.contains("2026-09-21 16:00:00"))
        }
    }

    @Test("usage goes out and comes in as CloudEvents")
    func cloudEvents() async throws {
        try await LiveServer.run { live in
            let completed = LiveServer.now()
            let usage = UsageRecord(
                requestID: RequestID(high: 4, low: 2), consumer: "acme", service: "shop", instance: "shop-1",
                outcome: .completed, status: 200, bytesIn: 1, bytesOut: 2, receivedAt: completed,
                forwardedAt: completed, completedAt: completed)
            _ = try await live.database.ingest(SpoolBatch(source: "g/0", firstSequence: 1, records: [.usage(usage)]))
            let out = await live.command("usage", "export", "--consumer", "acme")
            let line = try JSONSerialization.jsonObject(with: Data(out.output.utf8)) as? [String: Any]
            #expect(line?["specversion"] as? String == "1.0" && line?["subject"] as? String == "acme", "\(out.error)")
            #expect(line?["id"] as? String == usage.requestID.description)
            let file = live.directory.appendingPathComponent("events.json")
            let text = """
                [{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"acme","time":"2026-11-01T00:00:00Z",
                "data":{"service":"shop","meter":"storage","quantity":"2"}}]
                """
            try Data(text.utf8).write(to: file)
            #expect((await live.command("usage", "push", file.path)).output == "1 stored, 0 known before\n")
            #expect((await live.command("usage", "push", file.path)).output == "0 stored, 1 known before\n")
            try Data(text.replacing("\"2\"", with: "\"3\"").utf8).write(to: file)
            let conflict = await live.command("usage", "push", file.path)
            #expect(conflict.code == 1 && conflict.error.contains("reported before with other content"))
        }
    }

    @Test("budgets show where everybody stands")
    func budgets() async throws {
        try await LiveServer.run { live in
            #expect((await live.command("budget")).error.contains("No consumer has a budget or a quota"))
        }
    }

    @Test("logins are exported in the formats of others, part by part to the end")
    func auditExport() async throws {
        try await LiveServer.run { live in
            for number in 1...1_001 {
                try await live.database.record(
                    AuditEvent(
                        requestID: RequestID(high: 8, low: UInt64(number)), observer: "g", service: "shop",
                        consumer: "acme", principal: "ada", credentialKind: .password, credentialTag: nil,
                        sourceAddress: "192.0.2.7", userAgent: "", method: "POST", path: "/login", outcome: .failure,
                        reason: "bad-credential", status: 401, receivedAt: LiveServer.now(), forwardedAt: nil,
                        respondedAt: LiveServer.now()))
            }
            let all = await live.command("audit", "export", "--service", "shop")
            let lines = all.output.split(separator: "\n")
            #expect(all.code == 0 && lines.count == 1_001, "\(all.error)")
            let last = try JSONSerialization.jsonObject(with: Data((lines.last ?? "").utf8)) as? [String: Any]
            #expect(last?["class_uid"] as? Int == 3_002)
            let position = (last?["metadata"] as? [String: Any])?["sequence"] as? Int ?? 0
            let rest = await live.command(
                "audit", "export", "--service", "shop", "--format", "cef", "--after", "\(position - 2)")
            #expect(rest.output.split(separator: "\n").count == 2 && rest.output.hasPrefix("CEF:0|Cloudwright|"))
            let syslog = await live.command(
                "audit", "export", "--service", "shop", "--format", "syslog", "--after", "\(position - 1)")
            #expect(syslog.output.hasPrefix("<84>1 ") && syslog.output.split(separator: "\n").count == 1)
            #expect((await live.command("audit", "export", "--service", "wiki")).output.isEmpty)
        }
    }

    @Test("the audit report filters and ranks, and lets nothing through to the terminal")
    func audit() async throws {
        try await LiveServer.run { live in
            try await fill(live)
            let failed = await live.command("audit", "report", "--failed", "--service", "shop")
            #expect(failed.output.contains("mallory\u{FFFD}[2J") && !failed.output.contains("\u{1B}"))
            let ranking = await live.command("audit", "report", "--ranking", "--service", "shop")
            #expect(ranking.output.contains("1              1  mallory"))
            let none = await live.command("audit", "report", "--outcome", "success", "--service", "shop")
            #expect(none.output.isEmpty && none.error.contains("No logins"))
        }
    }

    @Test("keys and tokens go to standard output alone, once")
    func secrets() async throws {
        try await LiveServer.run { live in
            let key = await live.command("consumer", "create-key", "acme", "--expires", "90d")
            #expect(key.code == 0 && key.output.hasPrefix("cw_") && key.output.filter { $0 == "\n" }.count == 1)
            let credential = try #require(await live.cloud.configuration().consumers.first?.credentials.first)
            #expect(key.error.contains(credential.id.rawValue) && !key.error.contains(key.output.dropLast()))
            let revoked = await live.command("consumer", "revoke-key", "acme", credential.id.rawValue)
            #expect(revoked.code == 0)
            #expect(await live.cloud.configuration().consumers.first?.credentials.first?.revoked == true)
            let made = await live.command("administrator", "create", "ada", "--role", "auditor")
            #expect(made.output.hasPrefix("cwa_"))
            var line = CommandLine()
            line.environment["CLOUDWRIGHT_TOKEN"] = String(made.output.dropLast())
            #expect((await line.run(["service", "list", "--server", live.address])).code == 0)
            #expect((await live.command("administrator", "list")).output.contains("ada "))
            #expect((await live.command("administrator", "remove", "ada")).code == 0)
            #expect((await line.run(["service", "list", "--server", live.address])).code == 1)
        }
    }

    @Test("events are followed as they come")
    func follow() async throws {
        try await LiveServer.run { live in
            try await fill(live)
            var line = CommandLine()
            line.environment["CLOUDWRIGHT_TOKEN"] = live.tokens[.auditor]
            let arguments = ["event", "follow", "--after", "1", "-o", "json", "--server", live.address]
            let following = Task { [line] in await line.run(arguments) }
            #expect(await eventually { line.screen.output.filter { $0 == "\n" }.count == 2 })
            try await live.cloud.append([PlatformEvent(at: Self.began, kind: "a.new", summary: "new")])
            #expect(await eventually { line.screen.output.contains("a.new") })
            following.cancel()
            _ = await following.value
            let positions = try line.screen.output.split(separator: "\n").map {
                try JSONDecoder().decode(API.Event.self, from: Data($0.utf8)).position
            }
            #expect(positions == [2, 3, 4])
        }
    }

    @Test("a link is accepted by its whole address, once, without a token")
    func acceptLink() async throws {
        try await LiveServer.run { live in
            let offer = ConstraintOffer(service: "shop", constraint: .maximumInstances, from: 3, to: 4)
            await live.cloud.addLink("the-link", offer)
            let link = "\(live.address)/api/v1/constraint-changes/the-link"
            let shown = await CommandLine.run("notification", "accept-link", "--show", link)
            #expect(shown.code == 0 && shown.output.contains("3 → 4 (offered, not changed)"))
            #expect(
                (await CommandLine.run("notification", "accept-link", link)).output == "shop: maximum-instances 3 → 4\n"
            )
            let again = await CommandLine.run("notification", "accept-link", "the-link", "--server", live.address)
            #expect(again.code == 1 && again.error.contains("used"))
        }
    }
}
