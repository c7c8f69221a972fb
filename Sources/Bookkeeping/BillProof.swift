import Foundation
public import MerkleLog
public import PayPerUse
public import SealedBooks

/// A closed bill with all that somebody needs who wants to check it without trusting the operator's server: the public
/// key alone is taken on trust.
public struct BillProof: Codable, Hashable, Sendable {
    /// What `format` says; another version has another number.
    public static let currentFormat = "cloudwright-bill-proof/1"

    public var format: String
    /// With its price plan, and what it was computed from.
    public var bill: Bill
    /// The closed bills that it corrects, or could have.
    public var earlier: [Bill]
    /// The logs that the records are in.
    public var logs: [Log]
    /// The consumer's usage records where they were more than were asked for: then none of them is in the file, and the
    /// bill can be computed again with the log database only.
    public var omittedUsageRecords: Int64

    public struct Log: Codable, Hashable, Sendable {
        public var name: String
        /// The signed checkpoint that everything in this log is proven against.
        public var checkpoint: String
        /// The consumer's own.
        public var records: [Record]
        /// Earlier checkpoints, and that the log has only grown since. The last of each day since a month before the
        /// bill's, so that one of them is in whatever file of checkpoints a witness has kept.
        public var earlier: [Earlier]
    }

    public struct Record: Codable, Hashable, Sendable {
        public var index: UInt64
        public var record: SealedRecord
        /// The path to the root (RFC 9162, section 2.1.3.1), the lowest sibling first.
        public var path: [MerkleHash]
    }

    public struct Earlier: Codable, Hashable, Sendable {
        public var checkpoint: String
        /// RFC 9162, section 2.1.4.1.
        public var path: [MerkleHash]
    }

    /// As a file: JSON with sorted keys, so that the same proof has the same bytes.
    public func json() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
        return Array(try encoder.encode(self))
    }
}
