import AdministrationFixture
import CloudModel
import CloudPorts
import Foundation
import LogDatabaseSQLite
import Testing

@Suite struct ScalingCommandTests {
    private let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("scaling-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

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

    @Test func recommendsOneAnswer() async throws {
        let answer = await CommandLine.run(
            "scaling", "recommend", try wave(), "--capacity", "10", "--price-per-hour", "0.10")
        #expect(answer.code == 0, "\(answer.error)")
        #expect(answer.output.contains("in 30 days"))
        #expect(answer.output.contains("\n    kind: "))
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

    @Test func readsTheLogDatabase() async throws {
        let path = folder.appendingPathComponent("log.sqlite").path
        let database = try SQLiteLogDatabase(path: path)
        await database.close()
        let none = await CommandLine.run(
            "scaling", "replay", "--log-database", path, "--service", "web", "--capacity", "1")
        #expect(none.code == 1)
        #expect(none.error.contains("has no requests of a service 'web'"))
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
