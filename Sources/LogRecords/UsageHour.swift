/// What one hour adds up to for one consumer, service and instance.
package struct UsageHour: Sendable {
    package static let microseconds: Int64 = 3_600_000_000

    package struct Key: Hashable, Comparable, Sendable {
        package var hour: Int64
        package var consumer: Int64
        package var service: Int64
        /// 0: none.
        package var instance: Int64

        package init(_ row: UsageRow) {
            let at = row.completedAt
            let rest = at % UsageHour.microseconds
            hour = at - (rest < 0 ? rest + UsageHour.microseconds : rest)
            consumer = row.consumer
            service = row.service
            instance = row.instance ?? 0
        }

        package static func < (left: Key, right: Key) -> Bool {
            (left.hour, left.consumer, left.service, left.instance)
                < (right.hour, right.consumer, right.service, right.instance)
        }
    }

    package let key: Key
    package private(set) var requests: Int64 = 0
    package private(set) var rejected: Int64 = 0
    package private(set) var failed: Int64 = 0
    package private(set) var aborted: Int64 = 0
    package private(set) var bytesIn: Int64 = 0
    package private(set) var bytesOut: Int64 = 0
    package private(set) var busyMicroseconds: Int64 = 0

    package init(_ key: Key) { self.key = key }

    package mutating func add(_ row: UsageRow) {
        if row.outcome.countsAsRequest { requests += 1 }
        switch row.outcome {
        case .rejected: rejected += 1
        case .failed: failed += 1
        case .abortedByConsumer, .abortedByInstance: aborted += 1
        case .completed, .tunnel, .tunnelContinued: break
        }
        bytesIn = bytesIn.addingSaturated(row.bytesIn)
        bytesOut = bytesOut.addingSaturated(row.bytesOut)
        busyMicroseconds = busyMicroseconds.addingSaturated(row.busyMicroseconds)
    }
}

extension Int64 {
    fileprivate func addingSaturated(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? (other > 0 ? .max : .min) : sum
    }
}
