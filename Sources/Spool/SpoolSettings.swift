public import CloudModel

/// How much the spool holds and how soon it is safe.
public struct SpoolSettings: Hashable, Sendable {
    /// The size of a segment file: a multiple of 4096, at least 8192.
    public var segmentSize: ByteCount
    /// What the segments of one writer may take together, spare included; at least two segments.
    public var maximumBytesPerWriter: ByteCount
    /// How long an appended record may stay unsafe against a power loss. The death of the process never loses one.
    public var syncInterval: TimeSpan

    public init(
        segmentSize: ByteCount = .mebibytes(16), maximumBytesPerWriter: ByteCount = .mebibytes(1_024),
        syncInterval: TimeSpan = .milliseconds(5)
    ) {
        self.segmentSize = segmentSize
        self.maximumBytesPerWriter = maximumBytesPerWriter
        self.syncInterval = syncInterval
    }

    /// The largest record that fits: an append of a larger one is refused and counted as lost.
    public var maximumRecordBytes: Int {
        min(1 << 20, Int(segmentSize.bytes) - SegmentHeader.size - RecordFrame.headSize)
    }

    func validated() throws(SpoolError) -> Self {
        guard segmentSize.bytes >= 8_192, segmentSize.bytes <= 1 << 30, segmentSize.bytes % 4_096 == 0 else {
            throw SpoolError(
                .invalidSettings,
                "the segment size of the spool is \(segmentSize.bytes); give a multiple of 4096 from 8192 to 1073741824"
            )
        }
        guard maximumBytesPerWriter.bytes >= 2 * segmentSize.bytes else {
            throw SpoolError(
                .invalidSettings,
                "the spool's limit of \(maximumBytesPerWriter.bytes) bytes per writer is less than two segments of "
                    + "\(segmentSize.bytes); raise the limit or use smaller segments")
        }
        guard syncInterval > .zero, syncInterval <= .seconds(10) else {
            throw SpoolError(
                .invalidSettings,
                "the spool's sync interval is \(syncInterval.microseconds) us; give more than 0 and at most 10 s")
        }
        return self
    }
}

/// Why the spool could not be opened, written or read.
public struct SpoolError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable {
        case invalidSettings = "invalid-settings"
        /// Another process has the directory open.
        case locked
        /// The operating system refused; the message has its reason.
        case io
        /// The source's name is empty, too long, or its writer exists already.
        case invalidSource = "invalid-source"
        case closed
    }

    public var code: Code
    /// What, where, and how to mend it.
    public var message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "spool: \(code.rawValue): \(message)" }
}

/// Damage that was found and stepped over. Each is reported once; the records concerned show as a gap in the sequence.
public struct SpoolFault: Hashable, Sendable, CustomStringConvertible {
    public enum Kind: Hashable, Sendable {
        /// The segment does not say what it is; none of its records can be read.
        case unreadableHeader
        /// The record's checksum does not match its content.
        case damagedRecord(sequence: UInt64, offset: Int)
        /// Damage whose extent is unknown: the rest of the segment is skipped.
        case damagedRest(fromSequence: UInt64, offset: Int)
        /// The record is whole, but this version does not know its kind or its fields.
        case unknownRecord(sequence: UInt64, offset: Int)
        /// Between the segment before and this one, these numbers are missing.
        case missing(from: UInt64, to: UInt64)
        /// The operating system could not make the segment durable; it is read as long as it can be.
        case syncFailed(reason: String)
        /// The operating system could not read the segment.
        case readFailed(reason: String)
        /// No new segment could be made; records are refused until one can.
        case segmentNotCreated(reason: String)
    }

    public var source: String
    /// The path of the segment file.
    public var segment: String
    public var kind: Kind

    public init(source: String, segment: String, kind: Kind) {
        self.source = source
        self.segment = segment
        self.kind = kind
    }

    public var description: String {
        switch kind {
        case .unreadableHeader: "\(segment): the header is damaged; the segment is skipped"
        case .damagedRecord(let sequence, let offset):
            "\(segment): record \(sequence) at byte \(offset) is damaged and skipped"
        case .damagedRest(let sequence, let offset):
            "\(segment): damaged from record \(sequence) at byte \(offset) on; the rest of the segment is skipped"
        case .unknownRecord(let sequence, let offset):
            "\(segment): record \(sequence) at byte \(offset) is of a kind this version does not know; skipped"
        case .missing(let first, let last): "\(segment): records \(first) to \(last) before it are missing"
        case .syncFailed(let reason): "\(segment): could not be made durable: \(reason)"
        case .readFailed(let reason): "\(segment): could not be read: \(reason)"
        case .segmentNotCreated(let reason): "\(segment): could not be created: \(reason)"
        }
    }
}

/// How one source stands.
public struct SpoolStatistics: Hashable, Sendable {
    public var source: String
    /// Bytes of its segment files, unused room included.
    public var bytes: Int64
    public var maximumBytes: Int64
    /// The sequence number of the last record appended; 0 where there has been none.
    public var appended: UInt64
    /// The last one that is safe against a power loss, and may be read.
    public var durable: UInt64
    /// The last one that was acknowledged since the directory was opened.
    public var acknowledged: UInt64
    /// Records refused since the directory was opened.
    public var lost: UInt64
}
