import CloudModel
import CloudPorts
import MerkleLog
import PayPerUse
import SealedBooks

extension BillVerification {
    /// Reads the logs as a whole, up to the sizes that the bill names: their roots must be those that were signed, and
    /// the consumer's records in them, all of them, must give the bill. Memory does not grow with the requests.
    mutating func recompute(from database: any LogDatabase) async throws {
        guard let basis = proof.bill.basis else { return }
        var recomputation = BillRecomputation(of: proof.bill, basis: basis, earlier: proof.earlier)
        for log in basis.logs {
            guard let sealed = SealedLog(named: log.name),
                case .success(let head) = checkpoint(log.checkpoint, of: log.name)
            else { continue }
            let subject = "log database, \(log.name)"
            var left = Dictionary(
                (proof.logs.first { $0.name == log.name }?.records ?? []).map { ($0.index, $0.record) },
                uniquingKeysWith: { first, _ in first })
            var frontier = MerkleFrontier()
            var foreign: [String] = []
            var position: Int64 = 0
            reading: while frontier.size < head.size {
                let leaves = try await sealed.leaves(after: position, in: database)
                for leaf in leaves {
                    guard frontier.size < head.size else { break reading }
                    if let given = left.removeValue(forKey: frontier.size), given != leaf.record {
                        foreign.append("record \(frontier.size) (\(given.name)) of the file is another one there")
                    }
                    Self.take(leaf.record, into: &recomputation)
                    frontier.append(leaf.hash)
                }
                guard let end = leaves.last else { break }
                position = end.position
            }
            if frontier.size < head.size {
                note(.completeness, subject, .forged, "it has \(frontier.size) records, and \(head.size) were sealed")
            } else if frontier.root != head.root {
                note(.completeness, subject, .forged, "its first \(head.size) records are not what was sealed")
            } else if !foreign.isEmpty {
                note(.completeness, subject, .forged, Self.list(foreign))
            } else {
                note(.completeness, subject, .proven, "its first \(head.size) records are what was sealed")
            }
        }
        compare(try recomputation.recomputed(), how: "from all records of the log database")
    }
}
