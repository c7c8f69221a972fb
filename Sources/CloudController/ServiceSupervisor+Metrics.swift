public import CloudModel
import ScalingListener
import VirtualInfrastructure

/// The metrics that the scaling follows: what is reported, and what is measured.
extension ServiceSupervisor {
    /// Nothing where the service does not follow such a metric: the configuration may just have changed.
    mutating func reported(_ metric: String, _ value: Int, _ context: inout StepContext) {
        let isFollowed = service.scaling.metrics.contains { $0.name == metric && $0.kind == .custom }
        guard !isRemoved, isFollowed else { return }
        reported[metric] = ReportedMetric(value: value, arrivedAt: context.steady)
        if !isHeld { scale(&context) }
    }

    mutating func measured(_ measurement: ServiceMeasurement, _ context: StepContext) {
        for instance in measurement.processor.keys.sorted() {
            guard let index = index(of: instance), let used = measurement.processor[instance] else { continue }
            meter.note(processor: used, of: instance, members[index].instance.incarnation, at: context.steady)
        }
        if let latency = measurement.latency { meter.note(latency: latency, at: context.steady) }
        meter.keep(Set(members.map(\.id)))
    }

    /// Followed metrics whose amount is known of now, by name.
    mutating func freshMetrics(_ context: StepContext) -> [String: Int] {
        guard !service.scaling.metrics.isEmpty else { return [:] }
        let serving = members.filter { $0.instance.role == .active && $0.isAble && $0.instance.phase == .running }
            .map { WorkloadMeter.Serving($0.id, units: units(of: $0.id)) }
        meter.note(serving: Set(serving.map(\.instance)), at: context.steady)
        let isRecent = latestArrivedAt.map { context.steady - $0 <= ScalingListenerDecision.sampleValidity } ?? false
        var fresh: [String: Int] = [:]
        for metric in service.scaling.metrics {
            let report = reported[metric.name].flatMap {
                context.steady - $0.arrivedAt <= ScalingMetric.validity ? $0.value : nil
            }
            fresh[metric.name] = meter.amount(
                of: metric, isRecent ? latest : nil, serving: serving, allotted: allottedMillicores, reported: report,
                at: context.steady)
        }
        return fresh
    }

    /// To one instance, or to one unit of its growth. A process without a limit is counted against one processor.
    var allottedMillicores: Int {
        if let unitSize { return unitSize }
        return switch service.instances {
        case .process(let template): template.limits.cpuMillicores ?? 1_000
        case .virtualServer(let template): template.flavor.resources.cpuMillicores
        case .endpoints: 1_000
        }
    }

    /// What has to be read of it.
    var needsProcessor: Bool { service.scaling.metrics.contains { $0.kind == .processor } }
    var needsLatency: Bool { service.scaling.metrics.contains { $0.kind == .latency } }
}

/// What a runtime has to read every `WorkloadMeter.interval` and to tell by `.measured`.
public struct MeasurementNeeds: Hashable, Sendable {
    /// Services whose instances are processes, with those that run.
    public var processors: [ServiceID: [InstanceID]] = [:]
    public var latencies: [ServiceID] = []

    public static let interval = WorkloadMeter.interval

    public init() {}

    public var isEmpty: Bool { processors.isEmpty && latencies.isEmpty }
}

extension CloudController {
    public var measurementNeeds: MeasurementNeeds {
        var needs = MeasurementNeeds()
        for supervisor in supervisors where !supervisor.isRemoved {
            if supervisor.needsLatency { needs.latencies.append(supervisor.id) }
            guard supervisor.needsProcessor, case .process = supervisor.service.instances else { continue }
            needs.processors[supervisor.id] = supervisor.members.filter { $0.instance.phase == .running }.map(\.id)
        }
        return needs
    }

    /// Hypervisors measure virtual servers for the placement; the scaling follows the same readings.
    mutating func noteProcessors(_ event: InfrastructureEvent) {
        guard case .measured(let host, let used) = event else { return }
        var measurements: [ServiceID: ServiceMeasurement] = [:]
        for (instance, server) in infrastructure.servers where server.placement.host == host && !server.isMigrating {
            guard let service = serviceOfInstance[instance], let time = used[server.placement.name] else { continue }
            measurements[service, default: ServiceMeasurement(service: service)].processor[instance] = time
        }
        for service in measurements.keys.sorted() {
            guard let measurement = measurements[service] else { continue }
            supervise(service) { $0.measured(measurement, $1) }
        }
    }
}
