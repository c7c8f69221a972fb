import CloudModel
import ControlPlane
import Gateway
import RemoteAdministration
import Spool
import Telemetry

/// The figures of the data plane and of the books.
struct PlatformMetrics {
    let gateway: GatewayStatistics
    let traffic: [TrafficFigures]
    let spool: SpoolDirectory
    let ingestion: SpoolIngestion
    /// Nil where no traces are sent.
    let traces: TraceExporter.Totals?

    var text: String {
        var metrics = Metrics()
        addGateway(to: &metrics)
        addAccessLog(to: &metrics)
        addTraces(to: &metrics)
        addServices(to: &metrics)
        addTraffic(to: &metrics)
        addBooks(to: &metrics)
        return metrics.text
    }

    private func addGateway(to metrics: inout Metrics) {
        metrics.add(
            "cloudwright_gateway_connections", .gauge, "Connections of consumers that are open.",
            Double(gateway.connectionsOpen))
        for total in gateway.totals {
            metrics.add(
                "cloudwright_gateway_\(total.name)_total", .counter,
                "\(total.name.replacing("_", with: " ")) since the start.", Double(total.value))
        }
        metrics.add(
            "cloudwright_gateway_loop_user_microseconds_total", .counter, "Processor time of a loop in user mode.",
            gateway.loopUserMicroseconds.enumerated().map { ([("loop", "\($0)")], Double($1)) })
        metrics.add(
            "cloudwright_gateway_dropped_events_total", .counter, "Events that the control plane did not take.",
            Double(gateway.droppedEvents))
    }

    private func addAccessLog(to metrics: inout Metrics) {
        guard let log = gateway.accessLog else { return }
        metrics.add(
            "cloudwright_gateway_access_log_lines_total", .counter, "Lines written to the access log.",
            Double(log.written))
        metrics.add(
            "cloudwright_gateway_access_log_dropped_total", .counter,
            "Requests that the access log should have and has not, because it could not be written fast enough.",
            Double(log.dropped))
    }

    private func addTraces(to metrics: inout Metrics) {
        guard let traces else { return }
        metrics.add(
            "cloudwright_trace_spans_exported_total", .counter, "Spans that the collector took.",
            Double(traces.exported))
        metrics.add(
            "cloudwright_trace_spans_failed_total", .counter,
            "Spans that the collector refused, or did not take in time.", Double(traces.failed))
        metrics.add(
            "cloudwright_traces_dropped_total", .counter,
            "Sampled requests, and spans of operations, that found no room because the collector was too slow.",
            Double(traces.dropped))
    }

    private func addServices(to metrics: inout Metrics) {
        metrics.add(
            "cloudwright_gateway_answers_total", .counter, "Answers by service and class of status.",
            gateway.services.flatMap { service in
                service.answersByClass.sorted { $0.key < $1.key }.map {
                    ([("service", service.id.rawValue), ("class", "\($0)xx")], Double($1))
                }
            })
        metrics.add(
            "cloudwright_gateway_service_rejected_total", .counter, "Requests that the scaling listener rejected.",
            gateway.services.map { ([("service", $0.id.rawValue)], Double($0.rejected)) })
        metrics.add(
            "cloudwright_gateway_service_retries_total", .counter, "Requests that were tried on another instance.",
            gateway.services.map { ([("service", $0.id.rawValue)], Double($0.retries)) })
    }

    private func addTraffic(to metrics: inout Metrics) {
        let services = traffic.filter { $0.instance == nil }
        let instances = traffic.filter { $0.instance != nil }
        func labels(_ row: TrafficFigures) -> [(String, String)] {
            [("service", row.service.rawValue)] + (row.instance.map { [("instance", $0.rawValue)] } ?? [])
        }
        metrics.addDurations(
            "cloudwright_gateway_request_duration_seconds",
            "From the end of a request's head to the last of its answer, of requests that an instance had.",
            services.map { (labels($0), $0.latency) })
        func bytes(_ rows: [TrafficFigures]) -> [(labels: [(String, String)], value: Double)] {
            rows.flatMap {
                [
                    (labels($0) + [("direction", "in")], Double($0.bytesIn)),
                    (labels($0) + [("direction", "out")], Double($0.bytesOut)),
                ]
            }
        }
        metrics.add(
            "cloudwright_gateway_service_bytes_total", .counter, "Bytes from and to the consumers of a service.",
            bytes(services))
        metrics.add(
            "cloudwright_gateway_instance_bytes_total", .counter, "The same of what an instance answered.",
            bytes(instances))
        metrics.add(
            "cloudwright_gateway_instance_requests_total", .counter, "Requests that ended at an instance.",
            instances.map { (labels($0), Double($0.requests)) })
        metrics.add(
            "cloudwright_gateway_instance_errors_total", .counter, "Answers of an instance of 500 and more.",
            instances.map { (labels($0), Double($0.errors)) })
        metrics.add(
            "cloudwright_gateway_instance_failures_total", .counter,
            "Attempts that an instance failed: not connected, reset, too late, malformed.",
            instances.map { (labels($0), Double($0.failures)) })
    }

    private func addBooks(to metrics: inout Metrics) {
        let sources = spool.statistics
        metrics.add(
            "cloudwright_spool_bytes", .gauge, "Size of the spool.",
            sources.map { ([("source", $0.source)], Double($0.bytes)) })
        metrics.add(
            "cloudwright_spool_waiting_records", .gauge, "Records that are not yet in the log database.",
            sources.map { ([("source", $0.source)], Double($0.appended - min($0.appended, $0.acknowledged))) })
        metrics.add(
            "cloudwright_spool_lost_records_total", .counter, "Records that the full spool refused.",
            sources.map { ([("source", $0.source)], Double($0.lost)) })
        let totals = ingestion.totals
        metrics.add(
            "cloudwright_usage_records_stored_total", .counter, "Records stored since the start.",
            Double(totals.stored))
        metrics.add(
            "cloudwright_usage_records_conflicting_total", .counter, "Records kept as conflicts since the start.",
            Double(totals.conflicts))
        metrics.add(
            "cloudwright_usage_records_missing_total", .counter, "Sequence numbers found missing since the start.",
            Double(totals.missing))
    }
}
