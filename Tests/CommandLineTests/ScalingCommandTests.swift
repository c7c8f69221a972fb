import AdministrationFixture
import CloudModel
import CloudPorts
import ConfigurationFile
import Foundation
import LogDatabaseContract
import LogDatabasePostgres
import LogDatabaseSQLite
import PostgresFixture
import Testing

@Suite final class ScalingCommandTests {
    private let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("scaling-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    private func write(_ name: String, _ text: String) throws -> String {
        let file = folder.appendingPathComponent(name)
        try Data(text.utf8).write(to: file)
        return file.path
    }

    private func wave() throws -> String {
        let lines = (0..<1_440).map { "\($0 * 60),\(100 + 50 * sin(Double($0) / 120))" }
        return try write("load.csv", "timestamp_seconds,value\n" + lines.joined(separator: "\n") + "\n")
    }

    private struct Document: Decodable {
        struct Line: Decodable {
            var policy: String
            var costRatio: Double
            var keepsBudget: Bool
        }
        var steps: Int
        var tournament: Line
        var policies: [Line]
    }

    @Test func replaysATrace() async throws {
        let chart = folder.appendingPathComponent("chart.svg")
        let json = await CommandLine.run(
            "scaling", "replay", try wave(), "--capacity", "10", "-o", "json", "--chart", chart.path)
        #expect(json.code == 0, "\(json.error)")
        let document = try json.json(Document.self)
        #expect(document.steps == 1_440)
        #expect(document.policies.count > 50)
        #expect(zip(document.policies, document.policies.dropFirst()).allSatisfy { $0.costRatio <= $1.costRatio })
        #expect(try String(contentsOf: chart, encoding: .utf8).hasPrefix("<svg"))
        let table = await CommandLine.run("scaling", "replay", try wave(), "--mean-instances", "12", "--top", "2")
        #expect(table.output.split(separator: "\n").count == 5, "\(table.output)")
    }

    /// The behaviour of a HorizontalPodAutoscaler is read from its own file, names what it changes, and is recommended
    /// as it was replayed.
    @Test func replaysABehavior() async throws {
        let file = try write(
            "hpa.yaml",
            """
            kind: HorizontalPodAutoscaler
            spec:
              behavior:
                scaleUp:
                  policies: [{type: Percent, value: 10, periodSeconds: 60}]

            """)
        let replayed = await CommandLine.run(
            "scaling", "replay", try wave(), "--capacity", "10", "--policy", "horizontal", "--behavior", file,
            "-o", "json")
        #expect(replayed.code == 0, "\(replayed.error)")
        let names = try replayed.json(Document.self).policies.map(\.policy)
        #expect(names.contains("horizontal 70 % window 15m up 10 %/1m") && names.count == 32, "\(names)")
        let wrong = try write("wrong.yaml", "scaleUp:\n  policies: [{type: Pods, value: 0, periodSeconds: 15}]\n")
        let refused = await CommandLine.run("scaling", "replay", try wave(), "--capacity", "10", "--behavior", wrong)
        #expect(refused.code == 1 && refused.error.contains("wrong.yaml:2:34: 0 is out of range"), "\(refused.error)")
    }

    /// What is recommended is what was measured: pasted into a service's document it is read without a fault.
    @Test func recommendsABehavior() async throws {
        // A load that falls for half an hour each hour: only a long window keeps the budget.
        let lines = (0..<480).map { "\($0 * 60),\($0 % 60 < 30 ? 100 : 20)" }
        let load = try write("falls.csv", "timestamp_seconds,value\n" + lines.joined(separator: "\n") + "\n")
        let answer = await CommandLine.run("scaling", "recommend", load, "--capacity", "10", "--startup", "10m")
        #expect(answer.code == 0, "\(answer.error)")
        #expect(answer.output.contains("stabilizationWindowSeconds: 3600"), "\(answer.output)")
        let section = answer.output[try #require(answer.output.range(of: "scaling:\n")).lowerBound...]
        let document = """
            apiVersion: cloudwright/v1
            kind: Cloud
            metadata: {name: c}
            spec: {}
            ---
            apiVersion: cloudwright/v1
            kind: CloudService
            metadata: {name: web}
            spec:
              routes: [{path: /}]
              process: {command: [run, "{port}"]}
              constraints: {concurrentRequestsPerInstance: 10}
            """
        let indented = section.split(separator: "\n").map { "  " + $0 }.joined(separator: "\n")
        _ = try ConfigurationDocument(parsing: document + "\n" + indented + "\n", file: "cloud.yaml")
    }

    @Test func recommendsOneAnswer() async throws {
        let answer = await CommandLine.run(
            "scaling", "recommend", try wave(), "--capacity", "10", "--price-per-hour", "0.10")
        #expect(answer.code == 0, "\(answer.error)")
        #expect(answer.output.contains("in 30 days"))
        #expect(answer.output.contains("\n    kind: "))
    }

    private struct Answer: Decodable {
        struct Bill: Decodable {
            var pricePlan: String
            var month: String
            var currency: String
            var total: String
            var notIncluded: [String]
        }
        var instanceHoursPerDay: Double
        var costPerMonth: Double?
        var expectedBill: Bill?
    }

    private static let priced = """
        apiVersion: cloudwright/v1
        kind: Cloud
        metadata: {name: c}
        spec: {}
        ---
        apiVersion: cloudwright/v1
        kind: PricePlan
        metadata: {name: standard}
        spec:
          currency: EUR
          prices:
          - {id: hours, meter: instance-hour, price: 0.36}
          - {id: processors, meter: vcpu-second, price: 0.00001}
          - {id: requests, meter: request, price: 0.01}
        ---
        apiVersion: cloudwright/v1
        kind: PricePlan
        metadata: {name: yen}
        spec:
          currency: JPY
          prices: [{id: hours, meter: instance-hour, price: 40}]
        ---
        apiVersion: cloudwright/v1
        kind: CloudConsumer
        metadata: {name: acme}
        spec: {pricePlan: standard}
        ---
        apiVersion: cloudwright/v1
        kind: CloudService
        metadata: {name: web}
        spec:
          owner: acme
          routes: [{path: /}]
          process: {command: [run, "{port}"], limits: {cpuMillicores: 500}}

        """

    /// The same recommendation by a plan: that of the service's owner, or one that is named. The amounts are those of
    /// `ExpectedBill`, which has tests of its own.
    @Test func ratesByAPricePlan() async throws {
        let file = try write("priced.yaml", Self.priced)
        let arguments = ["scaling", "recommend", try wave(), "--capacity", "10", "--configuration", file]
        let owned = await CommandLine().run(
            arguments + ["--service", "web", "--month", "2026-12", "-o", "json"])
        #expect(owned.code == 0, "\(owned.error)")
        let answer = try owned.json(Answer.self)
        let bill = try #require(answer.expectedBill)
        #expect(bill.pricePlan == "standard" && bill.currency == "EUR" && bill.month == "2026-12")
        #expect(bill.notIncluded == ["requests (request)"])
        let hours = answer.instanceHoursPerDay * 31
        let expected = hours * 0.36 + hours * 3_600 * 0.5 * 0.00001
        #expect(abs(try #require(Double(bill.total)) - expected) < 0.02, "\(bill.total), \(expected)")
        #expect(answer.costPerMonth == nil)
        let named = await CommandLine().run(arguments + ["--price-plan", "yen", "--month", "2026-12"])
        #expect(named.code == 0, "\(named.error)")
        #expect(named.output.contains("Expected bill for 2026-12 by price plan 'yen'"), "\(named.output)")
        #expect(named.output.contains("JPY") && named.output.contains("\n    kind: "))
        let cases: [([String], Int32, String)] = [
            ([], 1, "name one with --price-plan. Known are: standard, yen"),
            (["--price-plan", "gold"], 1, "there is no price plan 'gold'; known are: standard, yen"),
            (["--service", "shop"], 1, "there is no service 'shop'; known are: web"),
            (["--price-per-hour", "1"], 2, "Give --price-per-hour or a price plan, not both"),
            (["--price-plan", "yen", "--month", "soon"], 2, "is no month"),
        ]
        for (more, code, message) in cases {
            let outcome = await CommandLine().run(arguments + more)
            #expect(outcome.code == code && outcome.error.contains(message), "\(more): \(outcome.error)")
        }
    }

    @Test("a running platform is asked for the plan of the service's owner")
    func ratesByThePlatformsPlan() async throws {
        try await LiveServer.run { live in
            let answer = await live.command(
                "scaling", "recommend", try wave(), "--capacity", "10", "--service", "shop", "-o", "json")
            #expect(answer.code == 0, "\(answer.error)")
            #expect(try answer.json(Answer.self).expectedBill?.pricePlan == "standard")
            let named = await live.command(
                "scaling", "recommend", try wave(), "--capacity", "10", "--price-plan", "gold")
            #expect(named.code == 1 && named.error.contains("no price plan 'gold'; known are: standard"), "\(named)")
        }
    }

    @Test func ratesByThePlanInTheLogDatabase() async throws {
        let path = folder.appendingPathComponent("priced.sqlite").path
        let database = try SQLiteLogDatabase(path: path)
        var transaction = ControlTransaction()
        transaction.configuration = LiveServer.configuration
        try await database.commit(transaction)
        try await fill(database)
        let answer = await CommandLine.run(
            "scaling", "recommend", "--log-database", path, "--service", "shop", "--capacity", "0.001", "-o", "json")
        #expect(answer.code == 0, "\(answer.error)")
        #expect(try answer.json(Answer.self).expectedBill?.currency == "EUR")
    }

    @Test func readsAccessLogs() async throws {
        var combined = ""
        var json = ""
        for minute in 10..<40 {
            for second in [10, 40] {
                combined +=
                    "9.9.9.9 - - [10/Oct/2000:13:\(minute):\(second) +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\" 9\n"
                json += #"{"time":"2000-10-10T13:\#(minute):\#(second)Z","duration_ms":9000}"# + "\n"
            }
        }
        var outputs: [String] = []
        for (name, text) in [("access.log", combined), ("access.json", json + "{}\n")] {
            let outcome = await CommandLine.run(
                "scaling", "replay", try write(name, text), "--capacity", "0.1", "-o", "json")
            #expect(outcome.code == 0, "\(outcome.error)")
            #expect(outcome.error.contains("requests in flight"))
            outputs.append(outcome.output)
        }
        #expect(outputs[0] == outputs[1], "the same requests in two formats")
    }

    /// More requests than are read at a time, a second apart, each 5 ms long; and two decisions of the listener.
    private func fill(_ database: some LogDatabase) async throws {
        let records = (1...Self.requests).map { number in
            SpoolRecord.usage(Samples.usage(UInt64(number), completedAt: Samples.hour + .seconds(Int64(number))))
        }
        try await database.ingest(Samples.batch(1, records))
        var transaction = ControlTransaction()
        transaction.events = ["first", "second"].map {
            Samples.event("scaling.decided", summary: $0, details: ["from": "1", "to": "2", "reason": "\($0) reason"])
        }
        try await database.commit(transaction)
        await database.close()
    }

    private static let requests = 5_200

    @Test func readsTheLogDatabase() async throws {
        let path = folder.appendingPathComponent("log.sqlite").path
        try await fill(SQLiteLogDatabase(path: path))
        let none = await replay(path, service: "web")
        #expect(none.code == 1)
        #expect(none.error.contains("has no requests of a service 'web'"))
        let some = await replay("sqlite:" + path)
        #expect(some.code == 0 && some.error.contains("requests in flight: \(Self.requests) requests"), "\(some)")
        let missing = await replay(path + ".old")
        #expect(missing.code == 1 && missing.error.contains("there is no file \(path).old"), "\(missing.error)")
    }

    private func replay(_ database: String, service: String = "shop") async -> CommandLine.Outcome {
        // 5 ms in every second is 0.005 in flight: five instances.
        await CommandLine.run(
            "scaling", "replay", "--log-database", database, "--service", service, "--capacity", "0.001",
            "--policy", "react", "-o", "json")
    }

    /// The same books in both databases give the same answers, without a server of the platform.
    @Test(.enabled(if: PostgresServer.isAvailable, "\(PostgresServer.obstacle ?? "")"))
    func readsALogDatabaseOnPostgreSQL() async throws {
        let file = folder.appendingPathComponent("log.sqlite").path
        try await fill(SQLiteLogDatabase(path: file))
        let connection = try await SharedPostgres.database()
        try await fill(PostgresLogDatabase.open(PostgresConnectionSettings(connection)))
        let connectionFile = try write("postgres", connection + "\n")
        let open = await replay("postgres:" + connectionFile)
        #expect(open.code == 1 && open.error.contains("chmod 600 \(connectionFile)"), "\(open.error)")
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: connectionFile)
        let replayed = await replay("postgres:" + connectionFile)
        #expect(replayed.code == 0, "\(replayed.error)")
        #expect(replayed.error.contains("requests in flight: \(Self.requests) requests"), "\(replayed.error)")
        let document = try replayed.json(Document.self)
        #expect(document.steps == 87 && document.policies.count == 3)
        #expect(await replay(file).output == replayed.output)
        let none = await replay("postgres:" + connectionFile, service: "web")
        #expect(none.code == 1 && none.error.contains("has no requests of a service 'web'"), "\(none.error)")
        for arguments in [
            ["recommend", "--service", "shop", "--capacity", "0.001", "--price-per-hour", "1"],
            ["explain", "shop"], ["explain", "shop", "--last", "2", "-o", "json"],
        ] {
            let outcomes = [
                await CommandLine().run(["scaling"] + arguments + ["--log-database", file]),
                await CommandLine().run(["scaling"] + arguments + ["--log-database", "postgres:" + connectionFile]),
            ]
            #expect(outcomes.allSatisfy { $0.code == 0 && !$0.output.isEmpty }, "\(outcomes)")
            #expect(outcomes[0].output == outcomes[1].output)
        }
        let last = await CommandLine.run("scaling", "explain", "shop", "--log-database", "postgres:" + connectionFile)
        #expect(last.output.contains("reason: second reason") && !last.output.contains("first"), "\(last.output)")
    }

    @Test func saysWhatIsMissing() async throws {
        let file = try wave()
        let cases: [([String], Int32, String)] = [
            (["scaling", "replay"], 2, "Give either a file or --log-database"),
            (["scaling", "replay", file], 1, "give --capacity (the load's mean is"),
            (["scaling", "replay", "/nonexistent", "--capacity", "1"], 1, "cannot be read"),
            (["scaling", "replay", file, "--capacity", "1", "--startup", "soon"], 2, "is no duration"),
            (["scaling", "replay", file, "--capacity", "1", "--chart", "x.png"], 2, "must end in .svg or .html"),
        ]
        for (arguments, code, message) in cases {
            let outcome = await CommandLine().run(arguments)
            #expect(outcome.code == code, "\(arguments): \(outcome.error)")
            #expect(outcome.error.contains(message), "\(arguments): \(outcome.error)")
        }
    }

    @Test("a metric that the service follows is reported; another is refused with what it follows")
    func reportsAMetric() async throws {
        try await LiveServer.run { live in
            let done = await live.command("scaling", "report", "shop", "queue-length", "120")
            #expect(done.code == 0, "\(done.error)")
            #expect(await live.cloud.reports == ["shop queue-length 120"])
            let unknown = await live.command("scaling", "report", "shop", "latency", "1")
            #expect(unknown.code == 1)
            #expect(unknown.error.contains("does not follow a metric 'latency'"), "\(unknown.error)")
            let negative = await live.command("scaling", "report", "shop", "queue-length", "--", "-1")
            #expect(negative.code == 2 && negative.error.contains("whole number from 0 on"), "\(negative.error)")
            let auditor = await live.command("scaling", "report", "shop", "queue-length", "1", role: "auditor")
            #expect(auditor.code != 0)
            #expect(await live.cloud.reports.count == 1)
        }
    }

    @Test("the last decision is explained with the sample that it was taken by, and dry runs are among them")
    func explains() async throws {
        try await LiveServer.run { live in
            let none = await live.command("scaling", "explain", "shop")
            #expect(none.code == 0 && (none.output + none.error).contains("No scaling decision"), "\(none)")
            var transaction = ControlTransaction()
            transaction.events = [("scaling.decided", "1"), ("scaling.decided.dry-run", "2")].map { kind, from in
                PlatformEvent(
                    at: Timestamp(microseconds: 1_790_000_000_000_000), kind: kind, service: "shop",
                    summary: "shop is scaled out from \(from) to 3",
                    details: ["from": from, "to": "3", "reason": "5 requests wait", "requestsInFlight": "7"])
            }
            try await live.cloud.commit(transaction)
            let last = await live.command("scaling", "explain", "shop")
            #expect(last.output.contains("instances before: 2") && last.output.contains("requests in flight: 7"))
            #expect(last.output.contains("reason: 5 requests wait") && !last.output.contains("instances before: 1"))
            let both = await live.command("scaling", "explain", "shop", "--last", "2")
            #expect(both.output.contains("instances before: 1") && both.output.contains("instances before: 2"))
        }
    }
}
