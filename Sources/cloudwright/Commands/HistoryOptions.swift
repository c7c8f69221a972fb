import ArgumentParser
import CloudModel
import CloudPorts
import ConfigurationFile
import Foundation
import ScalingReplay

/// Where a recorded load comes from, and under which circumstances it is replayed.
struct HistoryOptions: ParsableArguments {
    enum Format: String, ExpressibleByArgument, CaseIterable {
        case csv, combined, json
    }

    @Argument(help: "A recorded load: a file, or - for standard input.") var file: String?
    @Option(
        help: """
            csv: timestamp_seconds,value. combined: an access log of Apache or nginx. json: an access log with one \
            object a line. Without it told by the first line.
            """)
    var format: Format?
    @Option(
        help: ArgumentHelp(
            "Instead of a file the platform's log database: its file, or postgres:FILE with the connection string.",
            valueName: "file"))
    var logDatabase: String?
    @Option(help: "The service: with --log-database the one whose load is read.") var service: String?
    @Option(help: "What one instance takes, in the unit of the load.") var capacity: Double?
    @Option(help: "Instead of --capacity: scale the load so that its mean fills so many instances.")
    var meanInstances: Double?
    @Option(help: ArgumentHelp("Time between two decisions.", valueName: "duration")) var interval = "1m"
    @Option(help: ArgumentHelp("From a decision to an instance that serves.", valueName: "duration"))
    var startup = "3m"
    @Option(help: "The part of the time that may be missed, in percent.") var budget = 1.0
    @Option(help: "The hard cap.") var maximum = 10_000
    @Option(help: "Never fewer.") var minimum = 1
    @Option(help: "So many instances wait, started, for a scale-out, and are paid for (scaling.warmPool).")
    var warmPool = 0
    @Option(
        help: ArgumentHelp("From when an instance serves to when target-tracking counts it.", valueName: "duration"))
    var warmUp = ScalingPolicySettings.usualWarmUp.text
    @Option(
        help: ArgumentHelp(
            """
            A YAML file with scaleUp and scaleDown, as spec.scaling.policy.behavior or a HorizontalPodAutoscaler has \
            them: how fast horizontal may move.
            """, valueName: "file"))
    var behavior: String?

    func validate() throws {
        guard (file == nil) != (logDatabase == nil) else {
            throw ValidationError("Give either a file or --log-database.")
        }
        guard logDatabase == nil || service != nil else {
            throw ValidationError("--log-database and --service go together.")
        }
        guard capacity == nil || meanInstances == nil else {
            throw ValidationError("Give --capacity or --mean-instances, not both.")
        }
        for (name, value) in [("--capacity", capacity), ("--mean-instances", meanInstances)] {
            guard let value, !(value > 0 && value < 1e12) else { continue }
            throw ValidationError("\(name) must be above 0.")
        }
        for (name, text) in [("--interval", interval), ("--startup", startup), ("--warm-up", warmUp)] {
            let least: TimeSpan = name == "--interval" ? .seconds(1) : .zero
            guard let span = TimeSpan(parsing: text), (least...(.hours(24))).contains(span) else {
                throw ValidationError("\(name) '\(text)' is no duration up to 24h; give 30s, 5m or 1h.")
            }
        }
        guard budget > 0, budget <= 50 else { throw ValidationError("--budget must be above 0 and at most 50 %.") }
        guard minimum >= 0, minimum <= maximum, maximum >= 1, maximum <= 1_000_000 else {
            throw ValidationError(
                "--minimum and --maximum must be from 0 to 1000000, the minimum not above the maximum.")
        }
        guard (0...1_000).contains(warmPool) else { throw ValidationError("--warm-pool must be from 0 to 1000.") }
    }

    private var step: TimeSpan { TimeSpan(parsing: interval) ?? .minutes(1) }

    func settings() throws -> ReplaySettings {
        ReplaySettings(
            decisionSeconds: step.inSeconds, startupSeconds: (TimeSpan(parsing: startup) ?? .minutes(3)).inSeconds,
            missBudget: budget / 100, maximumInstances: maximum, minimumInstances: minimum,
            warmPool: warmPool, behavior: try behavior.map(Self.behavior),
            warmUpSeconds: (TimeSpan(parsing: warmUp) ?? ScalingPolicySettings.usualWarmUp).inSeconds)
    }

    private static func behavior(_ file: String) throws -> ScalingBehavior {
        guard let data = FileManager.default.contents(atPath: file) else {
            throw CommandFailure("\(file) cannot be read; give a YAML file with scaleUp and scaleDown")
        }
        do {
            return try BehaviorDocument.read(String(decoding: data, as: UTF8.self), file: file)
        } catch {
            throw CommandFailure(error.description)
        }
    }

    func trace() async throws -> DemandTrace {
        do {
            let history = try await self.history()
            let amount: LoadHistory.Capacity
            if let capacity {
                amount = .perInstance(capacity)
            } else if let meanInstances {
                amount = .meanInstances(meanInstances)
            } else {
                throw CommandFailure(
                    "nothing says what an instance takes; give --capacity (the load's mean is "
                        + "\(Self.short(history.mean))), or --mean-instances")
            }
            return try history.demand(step: step, capacity: amount)
        } catch let fault as LoadHistory.Fault {
            throw CommandFailure("\(logDatabase ?? file ?? "the history"): \(fault)")
        }
    }

    static func short(_ value: Double) -> String { String(format: "%.4g", value) }

    private func history() async throws -> LoadHistory {
        if let logDatabase, let service { return try await fromDatabase(logDatabase, service) }
        let name = file ?? "-"
        let bytes: Data
        do {
            bytes =
                try name == "-"
                ? FileHandle.standardInput.readToEnd() ?? Data()
                : Data(contentsOf: URL(fileURLWithPath: name), options: .mappedIfSafe)
        } catch {
            throw CommandFailure("\(name) cannot be read: \(error.localizedDescription)")
        }
        switch format ?? Self.told(by: bytes) {
        case .csv: return try CSVHistory.read(bytes)
        case .combined: return try log(bytes, name) { CombinedLog.entry($0).map { ($0.at, $0.seconds) } }
        case .json: return try log(bytes, name, JSONLogLine.read)
        }
    }

    private static func told(by bytes: Data) -> Format {
        let line = String(decoding: bytes.prefix(2_000).prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
        if line.hasPrefix("{") { return .json }
        return line.contains("[") ? .combined : .csv
    }

    private func log(
        _ bytes: Data, _ name: String, _ read: (Substring) -> (Timestamp, Double?)?
    ) throws -> LoadHistory {
        var requests = RequestHistory(step: step)
        var unread = 0
        for line in String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline) {
            if let (at, seconds) = read(line) { requests.add(at: at, seconds: seconds) } else { unread += 1 }
        }
        guard requests.requests > 0 else {
            throw CommandFailure("\(name) has no line of an access log; say what it is with --format")
        }
        if unread > 0 { Terminal.current.note("\(unread) lines of \(name) are no requests and were left out.") }
        Terminal.current.note(
            requests.isConcurrency ? "The load is requests in flight." : "The load is requests per \(interval).")
        return try requests.history()
    }

    /// So many requests at a time: a history may have more than memory holds.
    private static let recordsAtOnce = 5_000

    private func fromDatabase(_ name: String, _ service: String) async throws -> LoadHistory {
        let database = try await AuditorFiles.database(name)
        do {
            let requests = try await Self.requests(of: service, in: database, step: step)
            await database.close()
            guard requests.requests > 0 else {
                throw CommandFailure("\(name) has no requests of a service '\(service)'")
            }
            Terminal.current.note("The load is requests in flight: \(requests.requests) requests.")
            return try requests.history()
        } catch {
            await database.close()
            throw error
        }
    }

    private static func requests(
        of service: String, in database: any LogDatabase, step: TimeSpan
    ) async throws -> RequestHistory {
        var requests = RequestHistory(step: step)
        var query = UsageQuery()
        query.service = ServiceID(service)
        var place: UsageRecordPlace?
        while true {
            let records = try await database.usageRecords(query, after: place, limit: recordsAtOnce).map(\.record)
            for record in records {
                requests.add(at: record.receivedAt, seconds: (record.completedAt - record.receivedAt).inSeconds)
            }
            guard records.count == recordsAtOnce, let last = records.last else { return requests }
            place = UsageRecordPlace(completedAt: last.completedAt, requestID: last.requestID)
        }
    }
}

/// One object of a JSON access log: the names that nginx, Caddy, Envoy and Traefik set-ups commonly use.
enum JSONLogLine {
    private static let timeKeys = ["time", "timestamp", "ts", "@timestamp", "time_iso8601", "start_time", "StartUTC"]
    /// With what turns each into seconds.
    private static let durationKeys = [
        ("request_time", 1.0), ("duration", 1.0), ("duration_seconds", 1.0), ("duration_ms", 0.001),
        ("latency_ms", 0.001), ("Duration", 1e-9),
    ]

    static func read(_ line: Substring) -> (Timestamp, Double?)? {
        guard let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] else {
            return nil
        }
        guard let at = timeKeys.lazy.compactMap({ object[$0].flatMap(time) }).first else { return nil }
        for (key, factor) in durationKeys {
            if let value = object[key].flatMap(number) { return (at, value * factor) }
        }
        return (at, nil)
    }

    private static func number(_ value: Any) -> Double? {
        (value as? NSNumber)?.doubleValue ?? (value as? String).flatMap(Double.init)
    }

    private static func time(_ value: Any) -> Timestamp? {
        if let text = value as? String, let time = Timestamp(rfc3339: text) { return time }
        guard let seconds = number(value), abs(seconds) < 1e11 else { return nil }
        return Timestamp(microseconds: Int64(seconds * 1_000_000))
    }
}
