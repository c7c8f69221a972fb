public import CloudModel

/// What the monitoring agent counted for one instance in one period.
public struct MonitoredUsage: Codable, Hashable, Sendable {
    public var service: ServiceID
    /// Nil: requests that reached no instance.
    public var instance: InstanceID?
    public var periodStart: Timestamp?
    public var requests: Int64
    /// Those that an instance answered, whole or in part.
    public var answered: Int64
    /// Those that ended before the whole response had moved.
    public var aborted: Int64
    public var bytesIn: Int64
    public var bytesOut: Int64
    public var busyMicroseconds: Int64

    /// - Parameter answered: all requests, if not given.
    public init(
        service: ServiceID, instance: InstanceID?, periodStart: Timestamp?, requests: Int64, answered: Int64? = nil,
        aborted: Int64 = 0, bytesIn: Int64 = 0, bytesOut: Int64 = 0, busyMicroseconds: Int64
    ) {
        self.service = service
        self.instance = instance
        self.periodStart = periodStart
        self.requests = requests
        self.answered = answered ?? requests
        self.aborted = aborted
        self.bytesIn = bytesIn
        self.bytesOut = bytesOut
        self.busyMicroseconds = busyMicroseconds
    }
}

/// The figures of both agents for one instance in one period, side by side.
///
/// Each agent is blind where the other sees: the resource agent loses stops, the monitoring agent does not see what
/// passes it by. Where both speak of the same instance, one checks the other.
public struct UsageComparison: Codable, Hashable, Sendable {
    public var service: ServiceID
    public var instance: InstanceID
    public var periodStart: Timestamp?
    /// The resource agent's.
    public var runningMicroseconds: Int128
    /// The monitoring agent's.
    public var requests: Int64
    public var busyMicroseconds: Int64
    public var finding: Finding

    public enum Finding: String, Codable, Hashable, Sendable, CaseIterable {
        /// It ran and served, and nothing contradicts.
        case consistent
        /// It ran and served nothing that the gateway saw: idle, a standby, or used past the gateway.
        case unused
        /// It served while no event says that it ran: a start was lost, or a stop was concluded too early.
        case servedWithoutRunning = "served-without-running"
        /// Its running time rests on a stop that was concluded.
        case inferred
        /// No resource agent watches it: it has an address that the platform neither starts nor stops. Its requests are
        /// all that is known of it, and nothing contradicts them.
        case unwatched
    }

    public init(
        service: ServiceID, instance: InstanceID, periodStart: Timestamp?, runningMicroseconds: Int128,
        requests: Int64, busyMicroseconds: Int64, finding: Finding
    ) {
        self.service = service
        self.instance = instance
        self.periodStart = periodStart
        self.runningMicroseconds = runningMicroseconds
        self.requests = requests
        self.busyMicroseconds = busyMicroseconds
        self.finding = finding
    }

    /// Puts sums of the same time and periods beside each other, in order of service, instance and period. `held` must
    /// be grouped by instance; requests that reached no instance are left out.
    /// - Parameter unwatched: services whose instances no resource agent watches.
    public static func compare(
        held: [ResourceUsage], monitored: [MonitoredUsage], unwatched: Set<ServiceID>
    ) -> [UsageComparison] {
        var rows: [Key: UsageComparison] = [:]
        var inferred: Set<Key> = []
        for usage in held {
            guard let service = usage.service, let instance = usage.instance else { continue }
            let key = Key(service: service, instance: instance, periodStart: usage.periodStart)
            rows[key, default: key.empty].runningMicroseconds += usage.runningMicroseconds
            if usage.isInferred { inferred.insert(key) }
        }
        for usage in monitored {
            guard let instance = usage.instance else { continue }
            let key = Key(service: usage.service, instance: instance, periodStart: usage.periodStart)
            rows[key, default: key.empty].requests += usage.requests
            rows[key, default: key.empty].busyMicroseconds += usage.busyMicroseconds
        }
        return rows.keys.sorted().compactMap { key in
            guard var row = rows[key] else { return nil }
            row.finding = finding(
                of: row, isInferred: inferred.contains(key), isWatched: !unwatched.contains(row.service))
            return row
        }
    }

    private static func finding(of row: UsageComparison, isInferred: Bool, isWatched: Bool) -> Finding {
        if row.requests > 0, row.runningMicroseconds == 0 { return isWatched ? .servedWithoutRunning : .unwatched }
        if isInferred { return .inferred }
        return row.requests == 0 ? .unused : .consistent
    }

    private struct Key: Hashable, Comparable {
        var service: ServiceID
        var instance: InstanceID
        var periodStart: Timestamp?

        var empty: UsageComparison {
            UsageComparison(
                service: service, instance: instance, periodStart: periodStart, runningMicroseconds: 0, requests: 0,
                busyMicroseconds: 0, finding: .consistent)
        }

        static func < (left: Key, right: Key) -> Bool {
            (left.service, left.instance, left.periodStart ?? .epoch)
                < (right.service, right.instance, right.periodStart ?? .epoch)
        }
    }
}
