public import CloudModel

public struct LateUsageRecord: Hashable, Sendable {
    public var position: Int64
    public var stored: StoredUsageRecord

    public init(position: Int64, stored: StoredUsageRecord) {
        self.position = position
        self.stored = stored
    }
}

/// An event of the resource agent with its place in the books.
public struct StoredLifecycleEvent: Codable, Hashable, Sendable {
    public var position: Int64
    public var event: LifecycleEvent

    public init(position: Int64, event: LifecycleEvent) {
        self.position = position
        self.event = event
    }
}

/// A signed statement of how many records a log had and what they were.
public struct StoredSeal: Hashable, Sendable {
    public var log: String
    /// Records that are sealed.
    public var size: Int64
    /// Position, or number, of the last of them.
    public var lastPosition: Int64
    /// What is needed to go on from here without reading the log anew: 32 bytes for each bit that is set in `size`.
    public var peaks: [UInt8]
    /// The signed checkpoint.
    public var note: String
    public var at: Timestamp

    public init(log: String, size: Int64, lastPosition: Int64, peaks: [UInt8], note: String, at: Timestamp) {
        self.log = log
        self.size = size
        self.lastPosition = lastPosition
        self.peaks = peaks
        self.note = note
        self.at = at
    }
}
