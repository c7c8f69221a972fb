import CloudModel
import Synchronization

/// What one loop counts of one service or instance. Only the loop writes, anybody may read: an increment is a load and
/// a store of its own memory.
final class TrafficRow: @unchecked Sendable {
    /// The loop's way to it, without counting references: valid as long as the row is kept.
    struct Cells {
        fileprivate let base: UnsafeMutablePointer<Atomic<UInt64>>

        @inline(__always)
        func add(_ figure: Figure, _ amount: UInt64 = 1) { bump(figure.rawValue, amount) }

        @inline(__always)
        func addLatency(microseconds: Int64) {
            bump(Figure.allCases.count &+ LatencyHistogram.bucket(ofMicroseconds: microseconds), 1)
            add(.latencySum, UInt64(max(0, microseconds)))
        }

        @inline(__always)
        private func bump(_ cell: Int, _ amount: UInt64) {
            base[cell].store(base[cell].load(ordering: .relaxed) &+ amount, ordering: .relaxed)
        }
    }

    enum Figure: Int, CaseIterable {
        case requests, errors, failures, refusals, bytesIn, bytesOut, latencySum
    }

    let cells: Cells
    private static let cellCount = Figure.allCases.count + LatencyHistogram.bucketCount

    init() {
        // By whole cache lines: loops must not write into each other's.
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: (Self.cellCount * 8 + 63) / 64 * 64, alignment: 64)
        let base = memory.bindMemory(to: Atomic<UInt64>.self, capacity: Self.cellCount)
        for cell in 0..<Self.cellCount { (base + cell).initialize(to: Atomic(0)) }
        cells = Cells(base: base)
    }

    deinit { cells.base.deallocate() }

    func figures(service: ServiceID, instance: InstanceID?) -> TrafficFigures {
        func value(_ figure: Figure) -> UInt64 { cells.base[figure.rawValue].load(ordering: .relaxed) }
        let buckets = (0..<LatencyHistogram.bucketCount).map {
            cells.base[Figure.allCases.count + $0].load(ordering: .relaxed)
        }
        return TrafficFigures(
            service: service, instance: instance, requests: value(.requests), errors: value(.errors),
            failures: value(.failures), refusals: value(.refusals), bytesIn: value(.bytesIn),
            bytesOut: value(.bytesOut),
            latency: LatencyHistogram(counts: buckets, sumMicroseconds: value(.latencySum)))
    }
}

/// The rows of all loops, for those who read them. A loop asks for a row once, when it meets a service or an instance.
final class TrafficBook: Sendable {
    private struct Subject: Hashable {
        var service: ServiceID
        var instance: InstanceID?
    }

    private let rows: Mutex<[Subject: [TrafficRow]]> = Mutex([:])

    /// A new row for the loop that asks.
    func row(service: ServiceID, instance: InstanceID? = nil) -> TrafficRow {
        let row = TrafficRow()
        rows.withLock { $0[Subject(service: service, instance: instance), default: []].append(row) }
        return row
    }

    /// Forgets instances that are gone. Services stay: their totals never go back.
    func keep(_ instances: [ServiceID: Set<InstanceID>]) {
        rows.withLock { rows in
            rows = rows.filter { subject, _ in
                guard let instance = subject.instance else { return true }
                return instances[subject.service]?.contains(instance) ?? false
            }
        }
    }

    /// Of the services as a whole.
    func latencies(of services: Set<ServiceID>) -> [ServiceID: LatencyHistogram] {
        let rows = rows.withLock { $0 }
        var sums: [ServiceID: LatencyHistogram] = [:]
        for service in services {
            for row in rows[Subject(service: service, instance: nil)] ?? [] {
                sums[service, default: LatencyHistogram()].merge(row.figures(service: service, instance: nil).latency)
            }
        }
        return sums
    }

    /// By service, the service's own before its instances'.
    var figures: [TrafficFigures] {
        let rows = rows.withLock { $0 }
        let order = rows.keys.sorted {
            ($0.service, $0.instance?.rawValue ?? "") < ($1.service, $1.instance?.rawValue ?? "")
        }
        return order.map { subject in
            var sum = TrafficFigures(service: subject.service, instance: subject.instance)
            for row in rows[subject] ?? [] {
                sum.merge(row.figures(service: subject.service, instance: subject.instance))
            }
            return sum
        }
    }
}
