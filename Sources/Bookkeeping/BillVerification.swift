import CloudModel
public import CloudPorts
import Credentials
import Foundation
public import MerkleLog
import PayPerUse
import SealedBooks

/// Checks a bill's proof: that the records are in the sealed logs, that the logs have only grown, that the bill is the
/// one that was closed, and that the records and the plan give it to the same bytes.
///
/// From the file alone it is shown that nothing was invented or changed; that nothing was left out is shown by the log
/// database. That a line was rightly held when the bill was closed is the operator's statement.
public struct BillVerification: Sendable {
    /// What came of one check.
    public struct Check: Codable, Hashable, Sendable {
        public var kind: Kind
        public var subject: String
        public var state: State
        public var detail: String

        public enum State: String, Codable, Hashable, Sendable, CaseIterable {
            case proven
            /// Nothing speaks against it, and what would prove it is not there.
            case unproven
            /// It is not what was sealed.
            case forged
        }

        /// What was checked.
        public enum Kind: String, Codable, Hashable, Sendable, CaseIterable {
            /// That records are in a sealed log, and that the log has only grown.
            case log
            /// That nothing is proven against other logs than those that the bill names.
            case basis
            /// That it is the bill that was closed.
            case closing
            /// That no record was left out: the log database has what was sealed.
            case completeness
            /// That the records and the price plan give the bill.
            case figures
            /// That a witness knew the same log.
            case witness
        }
    }

    /// The file is no proof, or of another version.
    public struct Unreadable: Error, CustomStringConvertible {
        public var description: String
    }

    /// Faults of one kind that are named.
    private static let mostNamed = 10

    let proof: BillProof
    let verifier: CheckpointVerifier
    private let kept: [String: [Checkpoint]]
    let database: (any LogDatabase)?
    private(set) var checks: [Check] = []
    /// Records whose place in a sealed log is proven, by log.
    private var proven: [String: [BillProof.Record]] = [:]
    /// Checkpoints that are genuine and on the way to the one that everything is proven against, by log.
    private var history: [String: [Checkpoint]] = [:]

    /// `witnessed`: signed checkpoints that were kept elsewhere.
    public init(
        _ file: [UInt8], verifier: CheckpointVerifier, witnessed notes: [String] = [],
        database: (any LogDatabase)? = nil
    ) throws {
        do {
            proof = try JSONDecoder().decode(BillProof.self, from: Data(file))
        } catch {
            throw Unreadable(description: "the file is no proof of a bill: \(error)")
        }
        guard proof.format == BillProof.currentFormat else {
            throw Unreadable(
                description: "the file has the format '\(proof.format)', and \(BillProof.currentFormat) is known here")
        }
        self.verifier = verifier
        self.database = database
        var kept: [String: [Checkpoint]] = [:]
        for note in notes {
            let checkpoint = try Checkpoint(note: note, verifiedBy: verifier)
            kept[checkpoint.origin, default: []].append(checkpoint)
        }
        self.kept = kept
    }

    /// All checks, in the order in which they build on each other.
    public consuming func run() async throws -> [Check] {
        for log in proof.logs { check(log) }
        if Set(proof.logs.map(\.name)).count != proof.logs.count { note(.log, "logs", .forged, "a log is there twice") }
        checkBasis()
        for bill in [proof.bill] + proof.earlier { checkClosing(of: bill) }
        if let database {
            try await recompute(from: database)
        } else {
            try recomputeFromFile()
        }
        checkWitness()
        return checks
    }

    mutating func note(_ kind: Check.Kind, _ subject: String, _ state: Check.State, _ detail: String) {
        checks.append(Check(kind: kind, subject: subject, state: state, detail: detail))
    }

    // MARK: Logs

    private func origin(of log: String) -> String { "\(verifier.name)/\(log)" }

    func checkpoint(_ text: String, of log: String) -> Result<Checkpoint, CheckpointError> {
        do throws(CheckpointError) {
            let checkpoint = try Checkpoint(note: text, verifiedBy: verifier)
            guard checkpoint.origin == origin(of: log) else {
                return .failure(.malformed("it is of \(checkpoint.origin)"))
            }
            return .success(checkpoint)
        } catch {
            return .failure(error)
        }
    }

    private mutating func check(_ log: BillProof.Log) {
        let subject = "log \(log.name)"
        let head: Checkpoint
        switch checkpoint(log.checkpoint, of: log.name) {
        case .success(let genuine): head = genuine
        case .failure(let fault): return note(.log, subject, .forged, "\(fault)")
        }
        var faults: [String] = []
        history[log.name] = [head]
        for earlier in log.earlier {
            switch checkpoint(earlier.checkpoint, of: log.name) {
            case .failure(let fault): faults.append("an earlier checkpoint: \(fault)")
            case .success(let before):
                let isConsistent = MerkleProof.provesConsistency(
                    earlier.path, from: (before.size, before.root), to: (head.size, head.root))
                if isConsistent {
                    history[log.name, default: []].append(before)
                } else {
                    faults.append("it is not shown to go on from what it was at \(before.size) records")
                }
            }
        }
        var indices: Set<UInt64> = []
        for record in log.records {
            guard indices.insert(record.index).inserted else {
                faults.append("record \(record.index) is there twice")
                continue
            }
            let isThere = MerkleProof.provesInclusion(
                record.path, of: record.record.hash, at: record.index, size: head.size, root: head.root)
            if isThere {
                proven[log.name, default: []].append(record)
            } else {
                faults.append("record \(record.index) (\(record.record.name)) is not what was sealed")
            }
        }
        if faults.isEmpty {
            let grown =
                log.earlier.isEmpty ? "" : "; since \(log.earlier.count) earlier checkpoints it has only grown"
            note(
                .log, subject, .proven, "signed at \(head.size) records; \(log.records.count) of them are here\(grown)")
        } else {
            note(.log, subject, .forged, Self.list(faults))
        }
    }

    static func list(_ faults: [String]) -> String {
        let rest = faults.count - mostNamed
        return faults.prefix(mostNamed).joined(separator: "; ") + (rest > 0 ? "; and \(rest) more" : "")
    }

    /// The bill names checkpoints; what the file proves must be of these.
    private mutating func checkBasis() {
        guard let basis = proof.bill.basis else {
            return note(.basis, "basis", .forged, "the bill does not say what it was computed from")
        }
        var faults: [String] = []
        for log in basis.logs {
            switch checkpoint(log.checkpoint, of: log.name) {
            case .failure(let fault): faults.append("\(log.name): \(fault)")
            case .success(let named):
                if named.size != UInt64(clamping: log.size) {
                    faults.append("\(log.name): the size is \(log.size), the checkpoint is of \(named.size)")
                } else if history[log.name]?.contains(named) != true {
                    faults.append("\(log.name): nothing here is proven against the checkpoint that the bill names")
                }
            }
        }
        for name in Set(proof.logs.map(\.name)).subtracting(basis.logs.map(\.name)).sorted()
        where name != SealedLog.platformEvents.name {
            faults.append("\(name): the bill was not computed from this log")
        }
        let ids = proof.earlier.map(\.id)
        if ids != basis.earlier {
            faults.append("it corrects \(basis.earlier), and \(ids) are here")
        }
        let state: Check.State = faults.isEmpty ? .proven : .forged
        note(
            .basis, "basis", state,
            faults.isEmpty ? "\(basis.logs.count) logs, as the bill names them" : Self.list(faults))
    }

    // MARK: The bill

    private func platformEvents(_ kind: String) -> [PlatformEvent] {
        (proven[SealedLog.platformEvents.name] ?? []).sorted { $0.index < $1.index }.compactMap { record in
            guard case .platform(let event) = record.record, event.kind == kind else { return nil }
            return event
        }
    }

    /// The event of the closing is in a sealed log and has the digests.
    private mutating func checkClosing(of bill: Bill) {
        let subject = "bill \(bill.id)"
        let events = platformEvents("bill.closed").filter {
            $0.details["bill"] == bill.id && $0.consumer == bill.consumer
        }
        guard let event = events.first else {
            return note(.closing, subject, .forged, "no sealed event says that it was closed")
        }
        guard let digest = event.details["digest"] else {
            return note(.closing, subject, .unproven, "it was closed before its digest was sealed")
        }
        func differs<Value: Encodable>(_ value: Value, from digest: String?) -> Bool {
            guard let text = try? BillingDesk.json(value) else { return true }
            return KeyDigest(of: text).description != digest
        }
        guard differs(bill, from: digest) else {
            return note(.closing, subject, .proven, "closed as it is here: SHA-256 \(digest)")
        }
        var parts: [String] = []
        if differs(bill.plan, from: event.details["plan-digest"]) { parts.append("its price plan") }
        if differs(bill.basis, from: event.details["basis-digest"]) { parts.append("what it was computed from") }
        if let total = event.details["total"], total != bill.total.description {
            parts.append("its total (\(bill.total), closed at \(total))")
        }
        if let held = event.details["held"], held != bill.held.description {
            parts.append("what is held (\(bill.held), closed at \(held))")
        }
        let what = parts.isEmpty ? "a figure or a text" : parts.joined(separator: " and ")
        note(.closing, subject, .forged, "it is not what was closed: \(what) was changed")
    }

    // MARK: Computing it again

    private mutating func recomputeFromFile() throws {
        guard let basis = proof.bill.basis else { return }
        guard proof.omittedUsageRecords == 0 else {
            return note(
                .figures, "figures", .unproven,
                "the file leaves out \(proof.omittedUsageRecords) usage records; give --log-database to compute the "
                    + "bill from them")
        }
        var recomputation = BillRecomputation(of: proof.bill, basis: basis, earlier: proof.earlier)
        let sizes = Dictionary(basis.logs.map { ($0.name, $0.size) }, uniquingKeysWith: { first, _ in first })
        for (log, records) in proven.sorted(by: { $0.key < $1.key }) {
            for record in records.sorted(by: { $0.index < $1.index })
            where record.index < UInt64(clamping: sizes[log] ?? 0) {
                Self.take(record.record, into: &recomputation)
            }
        }
        compare(try recomputation.recomputed(), how: "from the records here")
    }

    static func take(_ record: SealedRecord, into recomputation: inout BillRecomputation) {
        switch record {
        case .usage(let usage, _, _): recomputation.take(usage)
        case .event(let event, _): recomputation.take(event)
        case .lifecycle(let event, _): recomputation.take(event)
        case .platform(let event): if let credit = Credit(event) { recomputation.take(credit) }
        case .audit: break
        }
    }

    mutating func compare(_ computed: Bill, how: String) {
        let differences = BillDifference.between(proof.bill, computed)
        let isSame = (try? BillingDesk.json(computed)) == (try? BillingDesk.json(proof.bill))
        guard differences.isEmpty, isSame else {
            return note(.figures, "figures", .forged, Self.list(differences.map(\.description)))
        }
        note(.figures, "figures", .proven, "\(proof.bill.lines.count) lines, computed again \(how) to the same bytes")
    }

    // MARK: Witness

    private mutating func checkWitness() {
        for log in proof.logs {
            guard let checkpoints = kept[origin(of: log.name)], let known = history[log.name] else { continue }
            let subject = "witness of \(log.name)"
            let roots = Dictionary(known.map { ($0.size, $0.root) }, uniquingKeysWith: { first, _ in first })
            var common: UInt64?
            var fault: String?
            for checkpoint in checkpoints.sorted(by: { $0.size < $1.size }) {
                guard let root = roots[checkpoint.size] else { continue }
                common = checkpoint.size
                if root != checkpoint.root, fault == nil {
                    fault = "at \(checkpoint.size) records it kept another root: history was written anew"
                }
            }
            if let fault {
                note(.witness, subject, .forged, fault)
            } else if let common {
                note(.witness, subject, .proven, "the same log as it knew at \(common) records, which has only grown")
            } else {
                note(.witness, subject, .unproven, "none of its checkpoints is among those of the file")
            }
        }
    }
}

extension SealedRecord {
    /// For people.
    var name: String {
        switch self {
        case .usage(let record, _, _): "request \(record.requestID)"
        case .event(let event, _): "event \(event.id) of \(event.source)"
        case .lifecycle(let event, _): "\(event.kind.rawValue) of \(event.instance)"
        case .platform(let event): "\(event.kind) of \(event.at.rfc3339)"
        case .audit(let event, _, _): "login \(event.requestID)"
        }
    }
}
