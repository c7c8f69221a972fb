public import CloudModel
import CloudPorts
import Credentials
import Foundation
import MerkleLog
public import PayPerUse
import SealedBooks

extension BillingDesk {
    /// Usage records in one proof at most: about 1.5 KiB each.
    public static let maximumProvenRecords = 10_000

    /// Makes the proof of a closed bill. Reads the sealed logs as a whole, so it takes as long as they are.
    ///
    /// - Parameter records: usage records that the proof carries at most; where the consumer has more, it carries none.
    public func proof(for id: ConsumerID, month: BillingMonth, records: Int) async throws -> BillProof {
        guard let bill = try await closedBill(of: id, month) else {
            throw AdministrationRefusal(
                .conflict,
                ["\(month) is not closed for '\(id)': only a closed bill can be proven; `cloudwright bill close` it"])
        }
        guard let basis = bill.basis else {
            throw AdministrationRefusal(
                .conflict, ["\(bill.id) was closed before bills were told what they were computed from"])
        }
        // What the event log says of the closing came after the bill's own checkpoints.
        let newest = try await seal()
        var earlier: [Bill] = []
        for id in basis.earlier {
            guard let stored = try await database.bill(id) else {
                throw LogDatabaseError(.corrupted, "\(bill.id) is based on \(id), which is not there")
            }
            earlier.append(try Self.bill(stored))
        }
        let own = try await OwnRecords(bill, earlier, limit: min(records, Self.maximumProvenRecords), self)
        var logs: [BillProof.Log] = []
        let eventLog = SealedLog.platformEvents.name
        // Where the closing was the first event of all, the bill knows nothing of that log.
        var names = basis.logs
        if !names.contains(where: { $0.name == eventLog }) {
            names.append(BillBasis.Log(name: eventLog, size: 0, checkpoint: ""))
        }
        for log in names {
            let isEventLog = log.name == eventLog
            guard let later = newest.first(where: { $0.log == log.name }) else {
                throw LogDatabaseError(.corrupted, "the seals of \(log.name) are gone")
            }
            let note = isEventLog ? later.note : log.checkpoint
            logs.append(
                try await prove(log, until: isEventLog ? later.size : log.size, note: note, own, of: bill))
        }
        return BillProof(
            format: BillProof.currentFormat, bill: bill, earlier: earlier, logs: logs,
            omittedUsageRecords: own.omitted)
    }

    private func prove(
        _ log: BillBasis.Log, until size: Int64, note: String, _ own: OwnRecords, of bill: Bill
    ) async throws -> BillProof.Log {
        guard let sealed = SealedLog(named: log.name) else {
            throw LogDatabaseError(.corrupted, "\(bill.id) names the log '\(log.name)', which there is not")
        }
        var checkpoints: [UInt64: String] = [:]
        let seals = try await database.dailySeals(
            ofLog: log.name, from: bill.window.start - .hours(31 * 24), until: bill.closedAt ?? bill.cutoff)
        for seal in seals where seal.size < size { checkpoints[UInt64(clamping: seal.size)] = seal.note }
        if log.size > 0, log.size < size { checkpoints[UInt64(clamping: log.size)] = log.checkpoint }
        var builder = MerkleProofBuilder(size: UInt64(clamping: size), earlier: Array(checkpoints.keys))
        var records: [(index: UInt64, record: SealedRecord)] = []
        var position: Int64 = 0
        reading: while builder.count < builder.size {
            let leaves = try await sealed.leaves(after: position, in: database)
            for leaf in leaves {
                guard builder.count < builder.size else { break reading }
                let isOwn = own.contains(leaf.record)
                if isOwn { records.append((builder.count, leaf.record)) }
                builder.append(leaf.hash, provesInclusion: isOwn)
            }
            guard let end = leaves.last else { break }
            position = end.position
        }
        guard let proofs = builder.finish() else {
            throw LogDatabaseError(
                .corrupted, "\(log.name) has fewer records than were sealed; see `cloudwright audit verify`")
        }
        return BillProof.Log(
            name: log.name, checkpoint: note,
            records: records.map {
                BillProof.Record(index: $0.index, record: $0.record, path: proofs.inclusion[$0.index] ?? [])
            },
            earlier: checkpoints.sorted { $0.key < $1.key }.map { size, note in
                BillProof.Earlier(checkpoint: note, path: proofs.consistency[size] ?? [])
            })
    }
}

/// Which records of the logs are a bill's.
struct OwnRecords: Sendable {
    private let recomputation: BillRecomputation
    private let consumer: ConsumerID
    private let bills: Set<String>
    private let creditWindow: BillingWindow
    private let events: Set<LifecycleEvent>
    let omitted: Int64

    init(_ bill: Bill, _ earlier: [Bill], limit: Int, _ desk: BillingDesk) async throws {
        let basis =
            bill.basis
            ?? BillBasis(
                lease: desk.lease, heartbeats: [], holds: [], includesHeld: false, earlier: [])
        recomputation = BillRecomputation(of: bill, basis: basis, earlier: earlier)
        consumer = bill.consumer
        bills = Set(([bill] + earlier).map(\.id))
        creditWindow = bill.window
        var events: Set<LifecycleEvent> = []
        var requests: Int64 = 0
        for bill in [bill] + earlier {
            var query = UsageQuery()
            query.consumer = bill.consumer
            query.from = bill.window.start
            query.until = bill.window.end
            events.formUnion(try await desk.database.lifecycleEvents(query))
            requests += try await desk.database.requestUsage(query).reduce(0) { $0 + $1.requests }
            requests += try await desk.database.usageEventSums(query).reduce(0) { $0 + $1.events }
        }
        self.events = events
        omitted = requests > Int64(limit) ? requests : 0
    }

    func contains(_ record: SealedRecord) -> Bool {
        switch record {
        case .usage(let usage, _, _): omitted == 0 && recomputation.concerns(usage)
        case .event(let event, _): omitted == 0 && recomputation.concerns(event)
        case .lifecycle(let event, _): events.contains(event)
        case .platform(let event):
            switch event.kind {
            case "bill.closed": event.consumer == consumer && bills.contains(event.details["bill"] ?? "")
            case "bill.credited":
                event.consumer == consumer && creditWindow.start <= event.at && event.at < creditWindow.end
            default: false
            }
        case .audit: false
        }
    }
}
