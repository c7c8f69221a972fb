/// How a virtual server is moved while it runs.
public struct MigrationSettings: Codable, Hashable, Sendable {
    public enum Mode: String, Codable, Hashable, Sendable, CaseIterable {
        /// Memory is copied while the virtual server runs (pre-copy); it pauses for the last part only.
        case live
        /// It is suspended first, copied, and resumed at the destination: the longest pause, and it always ends.
        case suspended
    }

    public var mode: Mode
    /// Mebibytes a second; nil: no limit.
    public var bandwidthMebibytesPerSecond: Int?
    /// The pause that the last round may take. Nova's default is 500 ms, Proxmox's 100 ms.
    public var maximumDowntime: TimeSpan
    /// Slows the virtual processors down when memory is written faster than it can be copied.
    public var autoConverge: Bool
    /// After this long, `whenLate` is done.
    public var timeout: TimeSpan
    public var whenLate: WhenLate

    public enum WhenLate: String, Codable, Hashable, Sendable, CaseIterable {
        /// It stays where it is.
        case abort
        /// It is paused until the rest is copied.
        case suspend
        /// It goes on at the destination and fetches what is missing: lost if the source fails meanwhile.
        case postCopy = "post-copy"
    }

    public init(
        mode: Mode = .live, bandwidthMebibytesPerSecond: Int? = nil, maximumDowntime: TimeSpan = .milliseconds(300),
        autoConverge: Bool = true, timeout: TimeSpan = .minutes(10), whenLate: WhenLate = .abort
    ) {
        self.mode = mode
        self.bandwidthMebibytesPerSecond = bandwidthMebibytesPerSecond
        self.maximumDowntime = maximumDowntime
        self.autoConverge = autoConverge
        self.timeout = timeout
        self.whenLate = whenLate
    }
}

/// As the source's hypervisor reports it.
public struct MigrationProgress: Codable, Hashable, Sendable {
    public var transferred: ByteCount
    public var remaining: ByteCount
    /// Rounds over memory that was written again since the last one.
    public var rounds: Int
    /// How much memory is written anew, in bytes a second; nil where the hypervisor does not say.
    public var dirtyBytesPerSecond: Int64?

    public init(transferred: ByteCount, remaining: ByteCount, rounds: Int, dirtyBytesPerSecond: Int64? = nil) {
        self.transferred = transferred
        self.remaining = remaining
        self.rounds = rounds
        self.dirtyBytesPerSecond = dirtyBytesPerSecond
    }
}

public struct MigrationResult: Codable, Hashable, Sendable {
    public var transferred: ByteCount
    public var totalTime: TimeSpan
    /// How long it ran nowhere, as the hypervisor reports it; nil where it does not.
    public var downtime: TimeSpan?
    public var rounds: Int
    /// It changed faster than it could be copied, went on at the destination and fetched the rest from there.
    public var isPostCopy: Bool

    public init(
        transferred: ByteCount, totalTime: TimeSpan, downtime: TimeSpan?, rounds: Int, isPostCopy: Bool = false
    ) {
        self.isPostCopy = isPostCopy
        self.transferred = transferred
        self.totalTime = totalTime
        self.downtime = downtime
        self.rounds = rounds
    }
}

/// How a physical server is emptied.
public struct DrainSettings: Codable, Hashable, Sendable {
    /// Migrations away from it at a time.
    public var concurrentMigrations: Int
    public var migration: MigrationSettings
    /// Begin although some of its virtual servers find no place now: they stay, and are waited for.
    public var partial: Bool

    public init(
        concurrentMigrations: Int = 1, migration: MigrationSettings = .init(), partial: Bool = false
    ) {
        self.concurrentMigrations = concurrentMigrations
        self.migration = migration
        self.partial = partial
    }
}
