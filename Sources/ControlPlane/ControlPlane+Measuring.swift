import CloudController
import CloudModel
import CloudPorts

extension ControlPlane {
    /// Reads what the scaling of services follows, as long as any follows it, until cancelled.
    nonisolated func measureServices() async {
        while !Task.isCancelled {
            let needs = await controller.measurementNeeds
            if !needs.isEmpty {
                let measured = await measure(needs)
                if !measured.isEmpty { await submit(.measured(measured)) }
            }
            try? await Task.sleep(for: .microseconds(MeasurementNeeds.interval.microseconds))
        }
    }

    private nonisolated func measure(_ needs: MeasurementNeeds) async -> [ServiceMeasurement] {
        let instances = Set(needs.processors.values.joined())
        let times = instances.isEmpty ? [:] : await ports.instances.processorTimes(of: instances)
        let latencies = needs.latencies.isEmpty ? [:] : await ports.dataPlane.latencies(of: Set(needs.latencies))
        return Set(needs.processors.keys).union(needs.latencies).sorted().compactMap { service in
            var measurement = ServiceMeasurement(service: service, latency: latencies[service])
            for instance in needs.processors[service] ?? [] { measurement.processor[instance] = times[instance] }
            return measurement.processor.isEmpty && measurement.latency == nil ? nil : measurement
        }
    }
}
