public import CloudModel
public import CloudPorts
public import Foundation
public import Logging
public import MerkleLog
import Synchronization

/// Seals the books: signs, again and again, how many records each append-only log has and what they are. So what is
/// changed, removed, inserted or reordered later is found (`LogVerification`), also where it was done by one who can
/// write to the database but does not have the key.
///
/// What came since the last seal is unproven until the next one. Whoever has the key, or can remove all seals, can
/// write history anew; against them, each seal is also appended to a witness file, which belongs on another machine.
public actor LogSealer {
    let database: any LogDatabase
    private let signer: CheckpointSigner
    private let witness: URL?
    private let interval: TimeSpan
    private let logger: Logger
    private let now: @Sendable () -> Timestamp
    private var newest: [SealedLog: StoredSeal] = [:]
    private var turn: Task<Void, Never>?
    private nonisolated let failure = Mutex<String?>(nil)

    /// `witness`: a file that each new checkpoint is appended to. A minute is what is lost at most to a forger who
    /// comes at the worst time.
    public init(
        database: any LogDatabase, signer: CheckpointSigner, witness: URL? = nil, interval: TimeSpan = .seconds(60),
        now: @escaping @Sendable () -> Timestamp, logger: Logger
    ) {
        self.database = database
        self.signer = signer
        self.witness = witness
        self.interval = interval
        self.now = now
        self.logger = logger
    }

    /// `ok`, or why the books cannot be sealed.
    public nonisolated var health: String { failure.withLock { $0 ?? "ok" } }

    /// Until cancelled.
    public func run() async {
        while !Task.isCancelled {
            await seal()
            try? await Task.sleep(for: .microseconds(interval.microseconds))
        }
    }

    /// Seals what has come since the last time; a failure is logged and tried again the next time. One after another:
    /// who closes a bill seals besides the clock, and no size is sealed twice.
    public func seal() async {
        let before = turn
        let own = Task {
            await before?.value
            await sealInTurn()
        }
        turn = own
        await withTaskCancellationHandler {
            await own.value
        } onCancel: {
            own.cancel()
        }
    }

    private func sealInTurn() async {
        do {
            for log in try await SealedLog.all(of: database) where !Task.isCancelled { try await seal(log) }
            failure.withLock { $0 = nil }
        } catch {
            failure.withLock { $0 = "\(error)" }
            logger.error("The books are not sealed", metadata: ["error": "\(error)"])
        }
    }

    private func seal(_ log: SealedLog) async throws {
        let last: StoredSeal?
        if let known = newest[log] {
            last = known
        } else {
            last = try await database.seals(ofLog: log.name).last
        }
        var frontier = try Self.frontier(after: last)
        var position = last?.lastPosition ?? 0
        while true {
            let leaves = try await log.leaves(after: position, in: database)
            for leaf in leaves { frontier.append(leaf.hash) }
            guard let end = leaves.last else { break }
            position = end.position
        }
        guard frontier.size > UInt64(last?.size ?? 0) else {
            newest[log] = last
            return
        }
        let checkpoint = Checkpoint(
            origin: "\(signer.verifier.name)/\(log.name)", size: frontier.size, root: frontier.root)
        let seal = StoredSeal(
            log: log.name, size: Int64(frontier.size), lastPosition: position, peaks: frontier.peaks.flatMap(\.bytes),
            note: try checkpoint.signed(by: signer), at: now())
        // The witness first: it may have heard of a seal that was not stored, but misses none.
        try append(seal.note)
        try await database.store(seal)
        newest[log] = seal
    }

    private static func frontier(after seal: StoredSeal?) throws -> MerkleFrontier {
        guard let seal else { return MerkleFrontier() }
        let width = MerkleHash.byteCount
        let peaks = stride(from: 0, to: seal.peaks.count, by: width).compactMap {
            MerkleHash(seal.peaks[$0..<min($0 + width, seal.peaks.count)])
        }
        guard let frontier = MerkleFrontier(size: UInt64(seal.size), peaks: peaks) else {
            throw LogDatabaseError(.corrupted, "the seal of \(seal.log) at \(seal.size) records has no valid peaks")
        }
        return frontier
    }

    private func append(_ note: String) throws {
        guard let witness else { return }
        if !FileManager.default.fileExists(atPath: witness.path) {
            _ = FileManager.default.createFile(atPath: witness.path, contents: nil)
        }
        let file = try FileHandle(forWritingTo: witness)
        defer { try? file.close() }
        try file.seekToEnd()
        try file.write(contentsOf: Data("\(note)\n".utf8))
        try file.synchronize()
    }
}
