/// What is needed of a tree to append to it and to tell its root: the roots of its complete subtrees, from the largest
/// on the left to the smallest on the right (a "compact range" of Trillian and Tessera). At most 64 hashes, whatever
/// the size.
public struct MerkleFrontier: Hashable, Sendable {
    /// Leaves so far.
    public private(set) var size: UInt64
    /// One for each bit that is set in `size`, the highest bit first.
    public private(set) var peaks: [MerkleHash]

    public init() {
        size = 0
        peaks = []
    }

    /// Nil where the number of peaks is not that of a tree of this size.
    public init?(size: UInt64, peaks: [MerkleHash]) {
        guard peaks.count == size.nonzeroBitCount else { return nil }
        self.size = size
        self.peaks = peaks
    }

    /// Appends a leaf, given by its hash. Costs one hash on average.
    public mutating func append(_ leaf: MerkleHash) {
        var merged = leaf
        var rest = size
        while rest & 1 == 1 {
            merged = .node(peaks.removeLast(), merged)
            rest >>= 1
        }
        peaks.append(merged)
        size += 1
    }

    /// The Merkle tree hash of RFC 9162, section 2.1.1.
    public var root: MerkleHash {
        guard var root = peaks.last else { return .ofEmptyTree }
        for peak in peaks.dropLast().reversed() { root = .node(peak, root) }
        return root
    }
}
