public import CloudModel

/// What one payer used in one stretch of time, counted as the books count: see `BilledMeter.countsPerUnit`.
public struct MeteredUse: Hashable, Sendable {
    private var counts: [ServiceID: [BilledMeter: Int128]] = [:]
    private var inferred: Set<ServiceID> = []

    public init() {}

    public var services: [ServiceID] { counts.keys.sorted() }

    public func counts(_ meter: BilledMeter, of service: ServiceID) -> Int128 { counts[service]?[meter] ?? 0 }

    /// Whether what the service's instances held rests on a stop that was concluded.
    public func isInferred(_ service: ServiceID) -> Bool { inferred.contains(service) }

    public mutating func add(_ amount: Int128, _ meter: BilledMeter, of service: ServiceID) {
        guard amount != 0 else { return }
        counts[service, default: [:]][meter, default: 0] += amount
    }

    /// The resource agent's sums.
    public mutating func add(_ usage: ResourceUsage) {
        guard let service = usage.service else { return }
        add(usage.runningMicroseconds, .instanceHour, of: service)
        add(usage.millicoreMicroseconds, .vcpuSecond, of: service)
        add(usage.memoryByteMicroseconds, .gibHour, of: service)
        if usage.isInferred { inferred.insert(service) }
    }

    /// The monitoring agent's sums. Requests that no instance answered cost nothing.
    public mutating func add(_ usage: MonitoredUsage) {
        guard usage.instance != nil else { return }
        add(Int128(usage.answered), .request, of: usage.service)
        add(Int128(usage.bytesIn), .byteIn, of: usage.service)
        add(Int128(usage.bytesOut), .byteOut, of: usage.service)
        add(Int128(usage.busyMicroseconds), .busySecond, of: usage.service)
    }

    /// What a service has counted itself.
    public mutating func add(_ event: UsageEvent) {
        add(Int128(event.microUnits), .event(event.meter), of: event.service)
    }

    public static func + (left: Self, right: Self) -> Self {
        var sum = left
        for service in right.services {
            for (meter, amount) in right.counts[service] ?? [:] { sum.add(amount, meter, of: service) }
        }
        sum.inferred.formUnion(right.inferred)
        return sum
    }
}
