public import CloudModel
public import CloudPorts
public import MerkleLog

/// Reads the books anew and compares them with what was sealed.
public struct LogVerification: Sendable {
    /// What was found of one log.
    public struct Finding: Codable, Hashable, Sendable {
        public var log: String
        public var records: Int64
        /// Records that a seal vouches for.
        public var sealed: Int64
        public var seals: Int
        public var lastSealedAt: Timestamp?
        /// Nil where all is as it was sealed; otherwise what is wrong, and between which records.
        public var fault: String?
    }

    private let database: any LogDatabase
    private let verifier: CheckpointVerifier
    /// Checkpoints that others kept, by origin.
    private let kept: [String: [Checkpoint]]

    /// `witnessed`: signed checkpoints that were kept elsewhere; they find a history that was written anew together
    /// with its seals. Throws where one of them is not signed by the key.
    public init(
        of database: any LogDatabase, verifier: CheckpointVerifier, witnessed notes: [String] = []
    ) throws(CheckpointError) {
        self.database = database
        self.verifier = verifier
        var kept: [String: [Checkpoint]] = [:]
        for note in notes {
            let checkpoint = try Checkpoint(note: note, verifiedBy: verifier)
            kept[checkpoint.origin, default: []].append(checkpoint)
        }
        self.kept = kept
    }

    /// Notes in a witness file: each ends with its signature lines and a blank line.
    public static func notes(in text: String) -> [String] {
        var notes: [String] = []
        var lines: [Substring] = []
        var isSigned = false
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if isSigned, line.isEmpty {
                notes.append(lines.map { $0 + "\n" }.joined())
                (lines, isSigned) = ([], false)
            } else if !lines.isEmpty || !line.isEmpty {
                lines.append(line)
                isSigned = isSigned || line.hasPrefix("— ")
            }
        }
        if isSigned { notes.append(lines.map { $0 + "\n" }.joined()) }
        return notes
    }

    public func run() async throws(LogDatabaseError) -> [Finding] {
        var findings: [Finding] = []
        let logs = try await SealedLog.all(of: database)
        for log in logs { findings.append(try await verify(log)) }
        // A source whose records are all gone is no log of the database any more, but others may know of it.
        let known = Set(logs.map { origin(of: $0.name) })
        for origin in kept.keys.sorted() where !known.contains(origin) {
            findings.append(
                Finding(
                    log: origin, records: 0, sealed: 0, seals: 0,
                    fault: "a checkpoint was kept of it, and it has no records any more"))
        }
        return findings
    }

    private func origin(of log: String) -> String { "\(verifier.name)/\(log)" }

    private func verify(_ log: SealedLog) async throws(LogDatabaseError) -> Finding {
        let seals = try await database.seals(ofLog: log.name)
        var finding = Finding(log: log.name, records: 0, sealed: 0, seals: seals.count, lastSealedAt: seals.last?.at)
        var marks: [Mark] = []
        for seal in seals {
            switch mark(of: seal, log) {
            case .success(let mark): marks.append(mark)
            case .failure(let fault): finding.fault = finding.fault ?? fault.text
            }
        }
        marks += (kept[origin(of: log.name)] ?? []).map { Mark(checkpoint: $0, isKept: true) }
        marks.sort { $0.checkpoint.size < $1.checkpoint.size }
        var walk = Walk(marks: marks)
        var position: Int64 = 0
        while true {
            let leaves = try await log.leaves(after: position, in: database)
            for leaf in leaves { walk.take(leaf) }
            guard let end = leaves.last else { break }
            position = end.position
        }
        walk.finish()
        finding.records = Int64(walk.frontier.size)
        finding.sealed = Int64(walk.sealed)
        finding.fault = finding.fault ?? walk.fault
        return finding
    }

    private struct Fault: Error { var text: String }

    private func mark(of seal: StoredSeal, _ log: SealedLog) -> Result<Mark, Fault> {
        func fault(_ why: String) -> Result<Mark, Fault> {
            .failure(Fault(text: "the seal at \(seal.size) records is not genuine: \(why)"))
        }
        do throws(CheckpointError) {
            let checkpoint = try Checkpoint(note: seal.note, verifiedBy: verifier)
            guard checkpoint.origin == origin(of: log.name) else { return fault("it is of \(checkpoint.origin)") }
            guard checkpoint.size == UInt64(clamping: seal.size) else { return fault("it is of \(checkpoint.size)") }
            return .success(Mark(checkpoint: checkpoint, isKept: false))
        } catch {
            return fault("\(error)")
        }
    }
}

/// A size at which the root is known.
private struct Mark {
    var checkpoint: Checkpoint
    /// By a witness, not in the database.
    var isKept: Bool
}

/// One pass over a log's records.
private struct Walk {
    private let marks: [Mark]
    private(set) var frontier = MerkleFrontier()
    private(set) var sealed: UInt64 = 0
    private(set) var fault: String?
    private var next = 0
    private var lastPosition: Int64 = 0
    /// Position of the last record that a mark vouched for.
    private var provenPosition: Int64 = 0

    init(marks: [Mark]) {
        self.marks = marks
        check()
    }

    mutating func take(_ leaf: SealedLog.Leaf) {
        frontier.append(leaf.hash)
        lastPosition = leaf.position
        check()
    }

    mutating func finish() {
        guard fault == nil, next < marks.count, let mark = marks.last else { return }
        fault =
            "\(mark.checkpoint.size) records were sealed and \(frontier.size) are there: the end of the log was removed"
    }

    private mutating func check() {
        while fault == nil, next < marks.count, marks[next].checkpoint.size == frontier.size {
            let mark = marks[next]
            next += 1
            guard mark.checkpoint.root == frontier.root else {
                let whose = mark.isKept ? "a checkpoint that was kept elsewhere" : "the seal"
                fault =
                    "\(whose) at \(frontier.size) records does not fit: a record after position \(provenPosition), up "
                    + "to \(lastPosition), was changed, removed, inserted or moved"
                return
            }
            provenPosition = lastPosition
            sealed = frontier.size
        }
    }
}
