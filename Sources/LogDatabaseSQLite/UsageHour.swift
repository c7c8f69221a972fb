import GRDB

/// What one hour adds up to for one consumer, service and instance.
struct UsageHour {
    static let microseconds: Int64 = 3_600_000_000

    struct Key: Hashable, Comparable {
        var hour: Int64
        var consumer: Int64
        var service: Int64
        /// 0: none.
        var instance: Int64

        init(_ row: UsageRow) {
            let at = row.completedAt
            let rest = at % UsageHour.microseconds
            hour = at - (rest < 0 ? rest + UsageHour.microseconds : rest)
            consumer = row.consumer
            service = row.service
            instance = row.instance ?? 0
        }

        static func < (left: Key, right: Key) -> Bool {
            (left.hour, left.consumer, left.service, left.instance)
                < (right.hour, right.consumer, right.service, right.instance)
        }
    }

    let key: Key
    private var requests: Int64 = 0
    private var rejected: Int64 = 0
    private var failed: Int64 = 0
    private var aborted: Int64 = 0
    private var bytesIn: Int64 = 0
    private var bytesOut: Int64 = 0
    private var busyMicroseconds: Int64 = 0

    init(_ key: Key) { self.key = key }

    mutating func add(_ row: UsageRow) {
        requests += 1
        switch row.outcome {
        case .rejected: rejected += 1
        case .failed: failed += 1
        case .abortedByConsumer, .abortedByInstance: aborted += 1
        case .completed, .tunnel: break
        }
        bytesIn = bytesIn.addingSaturated(row.bytesIn)
        bytesOut = bytesOut.addingSaturated(row.bytesOut)
        busyMicroseconds = busyMicroseconds.addingSaturated(row.busyMicroseconds)
    }

    /// Adds the sums of a batch to what is stored, in the order of the table.
    static func add(_ hours: [Key: UsageHour], to database: Database) throws {
        let statement = try RawStatement(
            """
            INSERT INTO usage_hour (hour, consumer, service, instance, requests, rejected, failed, bytes_in,
                bytes_out, busy_microseconds, aborted)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
                requests = requests + excluded.requests, rejected = rejected + excluded.rejected,
                failed = failed + excluded.failed, bytes_in = bytes_in + excluded.bytes_in,
                bytes_out = bytes_out + excluded.bytes_out,
                busy_microseconds = busy_microseconds + excluded.busy_microseconds,
                aborted = aborted + excluded.aborted
            """, in: database)
        for hour in hours.values.sorted(by: { $0.key < $1.key }) { try hour.add(with: statement) }
    }

    private func add(with statement: RawStatement) throws {
        let values = [
            key.hour, key.consumer, key.service, key.instance, requests, rejected, failed, bytesIn, bytesOut,
            busyMicroseconds, aborted,
        ]
        for (index, value) in values.enumerated() { try statement.bind(Int32(index + 1), value) }
        try statement.run()
    }
}

extension Int64 {
    fileprivate func addingSaturated(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? (other > 0 ? .max : .min) : sum
    }
}
