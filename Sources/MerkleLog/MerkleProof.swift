/// Proofs about a tree, made from the hashes of its leaves and checked from the proof alone.
public enum MerkleProof {
    /// The path from a leaf to the root (RFC 9162, section 2.1.3.1), the lowest sibling first. `leaves` are the hashes
    /// of all leaves of the tree; `index` is one of them.
    public static func inclusion(of index: Int, in leaves: ArraySlice<MerkleHash>) -> [MerkleHash] {
        precondition(leaves.indices.contains(leaves.startIndex + index), "there is no leaf \(index)")
        guard leaves.count > 1 else { return [] }
        let split = leaves.startIndex + largestPowerOfTwo(below: leaves.count)
        let left = leaves[..<split]
        let right = leaves[split...]
        return index < left.count
            ? inclusion(of: index, in: left) + [root(of: right)]
            : inclusion(of: index - left.count, in: right) + [root(of: left)]
    }

    /// That the tree of the first `size` leaves is the beginning of the whole one (RFC 9162, section 2.1.4.1).
    public static func consistency(from size: Int, in leaves: ArraySlice<MerkleHash>) -> [MerkleHash] {
        precondition((0...leaves.count).contains(size), "the earlier tree has \(size) of \(leaves.count) leaves")
        guard size > 0, size < leaves.count else { return [] }
        return subproof(size, leaves, isWhole: true)
    }

    private static func subproof(_ size: Int, _ leaves: ArraySlice<MerkleHash>, isWhole: Bool) -> [MerkleHash] {
        guard size < leaves.count else { return isWhole ? [] : [root(of: leaves)] }
        let width = largestPowerOfTwo(below: leaves.count)
        let left = leaves.prefix(width)
        let right = leaves.dropFirst(width)
        return size <= width
            ? subproof(size, left, isWhole: isWhole) + [root(of: right)]
            : subproof(size - width, right, isWhole: false) + [root(of: left)]
    }

    /// Whether the leaf is the `index`th of the tree with this size and root (RFC 9162, section 2.1.3.2).
    public static func provesInclusion(
        _ proof: [MerkleHash], of leaf: MerkleHash, at index: UInt64, size: UInt64, root: MerkleHash
    ) -> Bool {
        guard index < size else { return false }
        var node = index
        var last = size - 1
        var hash = leaf
        for sibling in proof {
            guard last != 0 else { return false }
            if node & 1 == 1 || node == last {
                hash = .node(sibling, hash)
                if node & 1 == 0 {
                    repeat {
                        node >>= 1
                        last >>= 1
                    } while node & 1 == 0 && node != 0
                }
            } else {
                hash = .node(hash, sibling)
            }
            node >>= 1
            last >>= 1
        }
        return last == 0 && hash == root
    }

    /// Whether the earlier tree is the beginning of the later one (RFC 9162, section 2.1.4.2).
    public static func provesConsistency(
        _ proof: [MerkleHash], from earlier: (size: UInt64, root: MerkleHash),
        to later: (size: UInt64, root: MerkleHash)
    ) -> Bool {
        guard earlier.size <= later.size else { return false }
        if earlier.size == later.size { return proof.isEmpty && earlier.root == later.root }
        if earlier.size == 0 { return proof.isEmpty && earlier.root == .ofEmptyTree }
        // A complete earlier tree is a node of the later one, and is not repeated in the proof.
        var path = proof[...]
        let isComplete = earlier.size.nonzeroBitCount == 1
        guard let first = isComplete ? earlier.root : path.popFirst() else { return false }
        var node = earlier.size - 1
        var last = later.size - 1
        while node & 1 == 1 {
            node >>= 1
            last >>= 1
        }
        var earlierHash = first
        var laterHash = first
        for sibling in path {
            guard last != 0 else { return false }
            if node & 1 == 1 || node == last {
                earlierHash = .node(sibling, earlierHash)
                laterHash = .node(sibling, laterHash)
                while node & 1 == 0 && node != 0 {
                    node >>= 1
                    last >>= 1
                }
            } else {
                laterHash = .node(laterHash, sibling)
            }
            node >>= 1
            last >>= 1
        }
        return last == 0 && earlierHash == earlier.root && laterHash == later.root
    }

    static func root(of leaves: ArraySlice<MerkleHash>) -> MerkleHash {
        var frontier = MerkleFrontier()
        for leaf in leaves { frontier.append(leaf) }
        return frontier.root
    }

    private static func largestPowerOfTwo(below count: Int) -> Int {
        1 << (Int.bitWidth - 1 - (count - 1).leadingZeroBitCount)
    }
}
