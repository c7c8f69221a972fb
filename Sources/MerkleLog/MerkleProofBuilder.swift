import Credentials

/// Makes the root of a tree and proofs about it in one pass over its leaves, in memory that grows with the proofs and
/// not with the tree.
public struct MerkleProofBuilder: Sendable {
    /// A complete subtree, and which of the leaves whose paths are made lie in it.
    private struct Subtree {
        var start: UInt64
        var height: Int
        var hash: MerkleHash
        var marked: [Int] = []
    }

    /// A run of leaves that is a node of the tree.
    private struct Run: Hashable {
        var start: UInt64
        var end: UInt64
    }

    /// Leaves that the whole tree has.
    public let size: UInt64
    public private(set) var count: UInt64 = 0
    private var subtrees: [Subtree] = []
    private var paths: [[MerkleHash]] = []
    private var indices: [UInt64] = []
    private let consistency: [UInt64: [Run]]
    private let wanted: Set<Run>
    private var found: [Run: MerkleHash] = [:]

    /// - Parameters:
    ///   - size: leaves that will be appended.
    ///   - earlier: sizes of earlier trees that it is to be proven consistent with; those beyond `size` are left out.
    public init(size: UInt64, earlier: [UInt64] = []) {
        self.size = size
        var consistency: [UInt64: [Run]] = [:]
        for size in Set(earlier) where size <= self.size {
            let ranges = size > 0 ? Self.proof(of: size, in: Run(start: 0, end: self.size), isWhole: true) : []
            consistency[size] = ranges
        }
        self.consistency = consistency
        wanted = Set(consistency.values.joined())
    }

    /// The nodes of RFC 9162's consistency proof (section 2.1.4.1), as runs of leaves.
    private static func proof(of size: UInt64, in range: Run, isWhole: Bool) -> [Run] {
        guard size < range.end else { return isWhole ? [] : [range] }
        let length = range.end - range.start
        let split = range.start + (1 << UInt64(63 - (length - 1).leadingZeroBitCount))
        let left = Run(start: range.start, end: split)
        let right = Run(start: split, end: range.end)
        return size <= split
            ? proof(of: size, in: left, isWhole: isWhole) + [right]
            : proof(of: size, in: right, isWhole: false) + [left]
    }

    /// Appends the next leaf; `provesInclusion` where its path is wanted.
    public mutating func append(_ leaf: MerkleHash, provesInclusion: Bool = false) {
        var subtree = Subtree(start: count, height: 0, hash: leaf)
        if provesInclusion {
            subtree.marked = [paths.count]
            paths.append([])
            indices.append(count)
        }
        count += 1
        note(subtree)
        while let left = subtrees.last, left.height == subtree.height {
            subtrees.removeLast()
            subtree = joined(left, subtree)
            subtree.height += 1
            note(subtree)
        }
        subtrees.append(subtree)
    }

    private mutating func joined(_ left: Subtree, _ right: Subtree) -> Subtree {
        for leaf in left.marked { paths[leaf].append(right.hash) }
        for leaf in right.marked { paths[leaf].append(left.hash) }
        return Subtree(
            start: left.start, height: left.height, hash: .node(left.hash, right.hash),
            marked: left.marked.isEmpty ? right.marked : left.marked + right.marked)
    }

    private mutating func note(_ subtree: Subtree) {
        guard !wanted.isEmpty else { return }
        let range = Run(start: subtree.start, end: subtree.start + (1 << UInt64(subtree.height)))
        if wanted.contains(range) { found[range] = subtree.hash }
    }

    /// What came of it, once all leaves were appended.
    public struct Proofs: Sendable {
        public var root: MerkleHash
        /// By index of the leaf: its path to the root (RFC 9162, section 2.1.3.1).
        public var inclusion: [UInt64: [MerkleHash]]
        /// By size of the earlier tree.
        public var consistency: [UInt64: [MerkleHash]]
    }

    /// Nil where fewer leaves were appended than the tree has.
    public consuming func finish() -> Proofs? {
        guard count == size else { return nil }
        guard var right = subtrees.popLast() else {
            return Proofs(root: .ofEmptyTree, inclusion: [:], consistency: consistency.mapValues { _ in [] })
        }
        noteEdge(right)
        while let left = subtrees.popLast() {
            right = joined(left, right)
            noteEdge(right)
        }
        let found = found
        return Proofs(
            root: right.hash, inclusion: Dictionary(zip(indices, paths), uniquingKeysWith: { first, _ in first }),
            consistency: consistency.mapValues { ranges in ranges.compactMap { found[$0] } })
    }

    /// The nodes at the tree's right edge are not complete.
    private mutating func noteEdge(_ subtree: Subtree) {
        let range = Run(start: subtree.start, end: size)
        if wanted.contains(range) { found[range] = subtree.hash }
    }
}

extension MerkleHash: Codable {
    /// As in checkpoints: base64.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let bytes = Base64.decoded(Array(text.utf8), .standard), let hash = MerkleHash(bytes) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "'\(text)' is no hash: 32 bytes in base64")
        }
        self = hash
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(Base64.encoded(bytes, .standard))
    }
}
