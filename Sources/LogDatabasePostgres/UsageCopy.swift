import CloudPorts
import LogRecords

/// Usage records on their way by COPY, in its binary format (PostgreSQL manual, COPY, "Binary Format"): the cheapest
/// way into a table. They are sent piece by piece, so that the server stores the first ones while the next are written.
struct UsageCopy: ~Copyable {
    private let stream: CopyStream
    private let piece: UnsafeMutableRawBufferPointer
    private var used = 0
    private let source: Int64
    private let storedAt: Int64

    private static let signature: [UInt8] = Array("PGCOPY\n".utf8) + [0xFF, 0x0D, 0x0A, 0x00]
    private static let columns: Int16 = 15
    /// The largest row, nothing in it NULL: the count of columns, a length each, 12 of 8 bytes, one of 4, one of 2.
    private static let largestRow = 2 + 15 * 4 + 13 * 8 + 4 + 2
    /// What libpq sends at once is 8 KiB; more costs memory and brings nothing.
    private static let pieceSize = 65_536

    static func statement(into table: String) -> String {
        """
        COPY \(table) (source, sequence, request_high, request_low, consumer, service, instance, outcome,
            status, bytes_in, bytes_out, received_at, forwarded_at, completed_at, stored_at)
        FROM STDIN (FORMAT binary)
        """
    }

    init(_ stream: CopyStream, source: Int64, storedAt: Int64) {
        self.stream = stream
        self.source = source
        self.storedAt = storedAt
        piece = .allocate(byteCount: Self.pieceSize, alignment: 8)
        for byte in Self.signature { append(byte) }
        append(Int32(0))
        append(Int32(0))
    }

    deinit { piece.deallocate() }

    mutating func append(_ row: borrowing UsageRow) throws {
        if used + Self.largestRow > Self.pieceSize { try flush() }
        append(Self.columns)
        field(source)
        field(row.sequence)
        field(row.requestHigh)
        field(row.requestLow)
        field(row.consumer)
        field(row.service)
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

    /// After the last row.
    mutating func end() throws {
        if used + 2 > Self.pieceSize { try flush() }
        append(Int16(-1))
        try flush()
    }

    private mutating func flush() throws {
        try stream.send(UnsafeRawBufferPointer(rebasing: piece[..<used]))
        used = 0
    }

    private mutating func field(_ number: Int64) {
        append(Int32(8))
        append(number)
    }

    private mutating func field(_ number: Int64?) {
        guard let number else { return append(Int32(-1)) }
        field(number)
    }

    @inline(__always)
    private mutating func append<Number: FixedWidthInteger & BitwiseCopyable>(_ number: Number) {
        piece.storeBytes(of: number.bigEndian, toByteOffset: used, as: Number.self)
        used &+= MemoryLayout<Number>.size
    }
}
