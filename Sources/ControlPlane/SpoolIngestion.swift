import CloudModel
public import CloudPorts
public import Logging
public import Spool
import Synchronization

/// Carries the gateway's records from the spool to the log database, each exactly once.
///
/// The log database commits a source's high-water mark together with the records, and the spool keeps what is beyond
/// it. So whatever is killed in between, the next attempt goes on where the last commit ended.
///
/// Where more waits than one batch holds, the next one is read while the log database stores the one before it.
public final class SpoolIngestion: Sendable {
    private struct State {
        /// What follows each source's last batch, where it has been read already.
        var ahead: [String: Ahead] = [:]
        var failure: String?
        var stored: UInt64 = 0
        var conflicts: UInt64 = 0
        var missing: UInt64 = 0
    }

    private struct Ahead {
        var mark: UInt64
        var batch: SpoolBatch
    }

    private let spool: SpoolDirectory
    private let reader: SpoolReader
    private let database: any LogDatabase
    private let logger: Logger
    private let state = Mutex(State())

    public init(spool: SpoolDirectory, database: any LogDatabase, logger: Logger) {
        self.spool = spool
        reader = spool.makeReader()
        self.database = database
        self.logger = logger
    }

    /// `ok`, or why records wait.
    public var health: String { state.withLock { $0.failure ?? "ok" } }

    /// Records stored, kept as conflicts, and found missing, since the start.
    public var totals: (stored: UInt64, conflicts: UInt64, missing: UInt64) {
        state.withLock { ($0.stored, $0.conflicts, $0.missing) }
    }

    /// Between two batches, so that the next one has something in it: each costs a transaction, whatever its size. What
    /// waits meanwhile is safe in the spool.
    private static let pause = Duration.milliseconds(100)

    /// Until cancelled: empties the spool again and again, with a pause where little is left to carry.
    public func run() async {
        while !Task.isCancelled {
            let largest = await carryAll()
            reportFaults()
            // A full batch shows that more is waiting.
            if largest < database.recordsOfBatch { try? await Task.sleep(for: Self.pause) }
        }
    }

    /// Carries what is there now, until nothing is left or nothing can be stored. Called once more at the end.
    public func drain() async {
        spool.synchronise()
        while await carryAll() > 0 {}
    }

    /// One batch of each source; the size of the largest.
    private func carryAll() async -> Int {
        var largest = 0
        for source in reader.sources where !Task.isCancelled {
            do {
                largest = max(largest, try await carryBatch(of: source))
                state.withLock { $0.failure = nil }
                spool.isStoreAway = false
            } catch {
                state.withLock { $0.failure = "\(error)" }
                spool.isStoreAway = true
                logger.error(
                    "Usage records wait in the spool", metadata: ["source": "\(source)", "error": "\(error)"])
            }
        }
        return largest
    }

    /// How many records were carried.
    private func carryBatch(of source: String) async throws -> Int {
        guard let batch = try await nextBatch(of: source) else { return 0 }
        let last = batch.firstSequence + UInt64(batch.records.count) - 1
        let isBacklog = batch.records.count >= database.recordsOfBatch
        async let following = isBacklog ? try? read(source, after: last) : nil
        let outcome = try await database.ingest(batch)
        reader.acknowledge(source: source, upTo: last)
        let ahead = await following.map { Ahead(mark: last, batch: $0) }
        state.withLock { state in
            state.ahead[source] = ahead
            state.stored += UInt64(outcome.stored)
            state.conflicts += UInt64(outcome.conflicts)
            state.missing += outcome.gap
        }
        if outcome.conflicts > 0 || outcome.gap > 0 {
            logger.warning(
                "The books have a gap or a conflict; both are recorded",
                metadata: [
                    "source": "\(source)", "conflicts": "\(outcome.conflicts)", "missing": "\(outcome.gap)",
                ])
        }
        return batch.records.count
    }

    /// The log database is asked for the mark each time: one that was promoted since may have less than was committed.
    private func nextBatch(of source: String) async throws -> SpoolBatch? {
        let ahead = state.withLock { $0.ahead.removeValue(forKey: source) }
        let mark = try await database.highWaterMark(ofSource: source) ?? 0
        if let ahead, ahead.mark == mark { return ahead.batch }
        return try await read(source, after: mark)
    }

    /// On another thread than the caller's where it is called as a child.
    private func read(_ source: String, after mark: UInt64) async throws -> SpoolBatch? {
        try reader.nextBatch(of: source, after: mark, limit: database.recordsOfBatch)
    }

    private func reportFaults() {
        for fault in spool.takeFaults() {
            logger.error("Damage in the spool", metadata: ["source": "\(fault.source)", "fault": "\(fault)"])
        }
    }
}
