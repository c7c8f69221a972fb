import CloudModel
import CloudPorts
import ControlPlane
import Gateway
import Logging
import Telemetry

/// Spans on their way from the gateway and the event log to a collector, where one is configured.
struct TracePath: Sendable {
    private let operations: TimelineTraces
    private let exporter: TraceExporter

    /// Nil where no traces are wanted.
    init?(
        _ settings: PlatformSettings, gateway: Gateway, database: any LogDatabase, clock: PlatformClock, logger: Logger
    ) throws {
        guard let traces = settings.traces else { return nil }
        operations = TimelineTraces(database: database, now: { clock.now() }, logger: logger)
        exporter = try TraceExporter(
            traces,
            from: TraceDocument.Resource(
                instance: gateway.configuration.name, version: Cloudwright.configuration.version),
            sources: [operations] + (gateway.spans.map { [$0] } ?? []), logger: logger)
    }

    var totals: TraceExporter.Totals { exporter.totals }

    /// Until cancelled.
    func run() async {
        async let following: Void = operations.run()
        await exporter.run()
        await following
        await exporter.finish()
    }
}
