import CloudPorts
import LogRecords

/// Usage records on their way by COPY, in its binary format (PostgreSQL manual, COPY, "Binary Format"): the cheapest
/// way into a table.
struct UsageCopy {
    private var bytes: [UInt8]
    private let source: Int64
    private let storedAt: Int64

    private static let signature: [UInt8] = Array("PGCOPY\n".utf8) + [0xFF, 0x0D, 0x0A, 0x00]
    private static let columns: Int16 = 15
    /// The largest row, nothing in it NULL: the count of columns, a length each, 13 of 8 bytes, one of 4, one of 2.
    private static let largestRow = 2 + 15 * 4 + 13 * 8 + 4 + 2

    init(source: Int64, storedAt: Int64, capacity: Int) {
        self.source = source
        self.storedAt = storedAt
        bytes = []
        bytes.reserveCapacity(capacity * Self.largestRow + 21)
        bytes += Self.signature
        append(Int32(0))
        append(Int32(0))
    }

    mutating func append(_ row: borrowing UsageRow) {
        append(Self.columns)
        for number in [source, row.sequence, row.requestHigh, row.requestLow, row.consumer, row.service] {
            field(number)
        }
        field(row.instance)
        append(Int32(2))
        append(Int16(row.outcome.rawValue))
        append(Int32(4))
        append(Int32(row.status))
        field(row.bytesIn)
        field(row.bytesOut)
        field(row.receivedAt)
        field(row.forwardedAt)
        field(row.completedAt)
        field(storedAt)
    }

    /// Sends what was appended.
    mutating func send(on connection: Connection) throws {
        append(Int16(-1))
        try connection.copy(
            """
            COPY usage_record (source, sequence, request_high, request_low, consumer, service, instance, outcome,
                status, bytes_in, bytes_out, received_at, forwarded_at, completed_at, stored_at)
            FROM STDIN (FORMAT binary)
            """, bytes)
    }

    private mutating func field(_ number: Int64) {
        append(Int32(8))
        append(number)
    }

    private mutating func field(_ number: Int64?) {
        guard let number else { return append(Int32(-1)) }
        field(number)
    }

    private mutating func append<Number: FixedWidthInteger>(_ number: Number) {
        withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
    }
}
