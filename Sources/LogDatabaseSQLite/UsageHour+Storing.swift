import GRDB
import LogRecords

extension UsageHour {
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
