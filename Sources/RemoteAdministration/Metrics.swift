import AdministrationAPI
public import CloudModel
import CloudPorts

/// Puts figures into the Prometheus text format (version 0.0.4).
public struct Metrics {
    static let mediaType = "text/plain; version=0.0.4; charset=utf-8"

    public enum Kind: String, Sendable { case gauge, counter }

    public private(set) var text = ""

    public init() {}

    /// All samples of one figure; nothing where there are none.
    public mutating func add(
        _ name: String, _ kind: Kind, _ help: String, _ samples: [(labels: [(String, String)], value: Double)]
    ) {
        guard !samples.isEmpty else { return }
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
        for sample in samples { addLine(name, sample.labels, sample.value) }
    }

    public mutating func add(_ name: String, _ kind: Kind, _ help: String, _ value: Double) {
        add(name, kind, help, [([], value)])
    }

    /// Durations as a histogram in seconds, with an end at every power of two microseconds from 64 us to 67 s: there
    /// the fine buckets end too, so the counts are exact.
    public mutating func addDurations(
        _ name: String, _ help: String, _ samples: [(labels: [(String, String)], value: LatencyHistogram)]
    ) {
        guard !samples.isEmpty else { return }
        text += "# HELP \(name) \(help)\n# TYPE \(name) histogram\n"
        for sample in samples {
            for exponent in 6...26 {
                let end = Int64(1) << Int64(exponent)
                let seconds = Self.number(Double(end) / 1_000_000)
                addLine(
                    name + "_bucket", sample.labels + [("le", seconds)],
                    Double(sample.value.count(belowMicroseconds: end)))
            }
            addLine(name + "_bucket", sample.labels + [("le", "+Inf")], Double(sample.value.count))
            addLine(name + "_sum", sample.labels, Double(sample.value.sumMicroseconds) / 1_000_000)
            addLine(name + "_count", sample.labels, Double(sample.value.count))
        }
    }

    private mutating func addLine(_ name: String, _ labels: [(String, String)], _ value: Double) {
        let labels = labels.map { "\($0.0)=\"\(Self.escaped($0.1))\"" }.joined(separator: ",")
        text += "\(name)\(labels.isEmpty ? "" : "{\(labels)}") \(Self.number(value))\n"
    }

    private static func number(_ value: Double) -> String {
        Int64(exactly: value).map(String.init) ?? "\(value)"
    }

    private static func escaped(_ label: String) -> String {
        label.reduce(into: "") { escaped, character in
            switch character {
            case "\\": escaped += "\\\\"
            case "\"": escaped += "\\\""
            case "\n": escaped += "\\n"
            default: escaped.append(character)
            }
        }
    }
}

extension Handlers {
    /// What the platform knows of itself, then what the caller of the server adds.
    func metricsText() async -> String {
        var metrics = Metrics()
        let health = await administration.health()
        metrics.add("cloudwright_healthy", .gauge, "Whether all parts of the platform work.", health.healthy ? 1 : 0)
        metrics.add(
            "cloudwright_part_healthy", .gauge, "Whether a part of the platform works.",
            health.parts.sorted { $0.key < $1.key }.map { ([("part", $0.key)], $0.value == "ok" ? 1 : 0) })
        await addInstances(to: &metrics)
        await addLoad(to: &metrics)
        if let position = try? await database.lastEventPosition() {
            metrics.add(
                "cloudwright_event_log_position", .counter, "Entries of the platform event log.", Double(position))
        }
        metrics.add(
            "cloudwright_open_incidents", .gauge, "Incidents that are not over.",
            Double(await administration.openIncidents().count))
        metrics.add(
            "cloudwright_event_streams", .gauge, "Clients that follow the event log.", Double(streams.count))
        metrics.add(
            "cloudwright_login_failures_suppressed_total", .counter,
            "Failed administration logins that were too many to be recorded.",
            Double(await authenticator.suppressedAttempts))
        if let process = ProcessStatistics.current() { process.add(to: &metrics) }
        return metrics.text + self.metrics()
    }

    private func addInstances(to metrics: inout Metrics) async {
        let configuration = await administration.configuration()
        let instances = await administration.instances()
        metrics.add(
            "cloudwright_service_instances_maximum", .gauge, "The hard limit of a service's instances.",
            configuration.services.map {
                ([("service", $0.id.rawValue)], Double($0.constraints.maximumInstances))
            })
        var counts: [(labels: [(String, String)], value: Double)] = []
        for service in configuration.services {
            for phase in InstancePhase.allCases where phase != .removed {
                let count = instances.count { $0.service == service.id && $0.phase == phase }
                counts.append(([("service", service.id.rawValue), ("phase", phase.rawValue)], Double(count)))
            }
        }
        metrics.add("cloudwright_service_instances", .gauge, "Instances of a service by phase.", counts)
        metrics.add(
            "cloudwright_instance_up", .gauge, "Whether an instance answers its checks.",
            instances.sorted { $0.id < $1.id }.map {
                (
                    [("service", $0.service.rawValue), ("instance", $0.id.rawValue)],
                    $0.operational == .up ? 1 : 0
                )
            })
    }

    private func addLoad(to metrics: inout Metrics) async {
        let samples = await administration.load().sorted { $0.key < $1.key }.map(\.value)
        func add(_ name: String, _ kind: Metrics.Kind, _ help: String, _ value: (LoadSample) -> Double) {
            metrics.add(name, kind, help, samples.map { ([("service", $0.service.rawValue)], value($0)) })
        }
        add("cloudwright_requests_in_flight", .gauge, "Requests that an instance has.") {
            Double($0.requestsInFlight)
        }
        add("cloudwright_requests_queued", .gauge, "Requests that wait for an instance.") {
            Double($0.requestsQueued)
        }
        add("cloudwright_active_consumers", .gauge, "Consumers that hold a place.") { Double($0.activeConsumers) }
        add("cloudwright_consumers_waiting", .gauge, "Consumers that wait for a limit to be raised.") {
            Double($0.consumersWaiting)
        }
        add("cloudwright_requests_admitted_total", .counter, "Requests admitted.") { Double($0.admitted) }
        add("cloudwright_requests_rejected_total", .counter, "Requests rejected.") { Double($0.rejected) }
        add("cloudwright_requests_completed_total", .counter, "Requests completed.") { Double($0.completed) }
    }
}
