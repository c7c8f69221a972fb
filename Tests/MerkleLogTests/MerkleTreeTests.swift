import Crypto
import MerkleLog
import Testing

@Suite struct MerkleTreeTests {
    /// The definition of RFC 9162, section 2.1.1, as it is written there: what everything else is compared with.
    static func treeHash(_ leaves: ArraySlice<[UInt8]>) -> [UInt8] {
        switch leaves.count {
        case 0: return Array(SHA256.hash(data: [] as [UInt8]))
        case 1: return Array(SHA256.hash(data: [0x00] + leaves.first!))
        default:
            var split = 1
            while split * 2 < leaves.count { split *= 2 }
            let left = treeHash(leaves.prefix(split))
            let right = treeHash(leaves.dropFirst(split))
            return Array(SHA256.hash(data: [0x01] + left + right))
        }
    }

    static let contents = (0..<70).map { index in [UInt8](repeating: UInt8(index), count: index % 9) }
    static let hashes = contents.map { MerkleHash.leaf($0) }

    /// The test vector that implementations of certificate transparency share.
    @Test func theKnownTreeHasItsRoot() {
        let leaves: [[UInt8]] = [
            [], [0x00], [0x10], [0x20, 0x21], [0x30, 0x31], [0x40, 0x41, 0x42, 0x43],
            Array(0x50...0x57), Array(0x60...0x6F),
        ]
        var frontier = MerkleFrontier()
        for leaf in leaves { frontier.append(.leaf(leaf)) }
        #expect(frontier.root.description == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328")
        #expect(MerkleFrontier().root.bytes == Self.treeHash([]))
    }

    @Test func everySizeHasTheRootOfTheDefinition() {
        var frontier = MerkleFrontier()
        for size in 0..<Self.contents.count {
            #expect(frontier.root.bytes == Self.treeHash(Self.contents[..<size]), "size \(size)")
            #expect(MerkleFrontier(size: frontier.size, peaks: frontier.peaks) == frontier)
            frontier.append(Self.hashes[size])
        }
        #expect(MerkleFrontier(size: 3, peaks: [Self.hashes[0]]) == nil)
    }

    @Test func inclusionIsProvedForEachLeafAndForNothingElse() {
        for size in [1, 2, 3, 7, 8, 13, 64, 65] {
            let leaves = Self.hashes[..<size]
            let root = MerkleHash(Self.treeHash(Self.contents[..<size]))!
            for index in 0..<size {
                let proof = MerkleProof.inclusion(of: index, in: leaves)
                func proves(_ proof: [MerkleHash], _ leaf: MerkleHash, at: Int, size: Int) -> Bool {
                    MerkleProof.provesInclusion(proof, of: leaf, at: UInt64(at), size: UInt64(size), root: root)
                }
                #expect(proves(proof, Self.hashes[index], at: index, size: size), "leaf \(index) of \(size)")
                #expect(!proves(proof, Self.hashes[69], at: index, size: size), "another leaf")
                #expect(!proves(proof + [root], Self.hashes[index], at: index, size: size), "a longer proof")
                #expect(!proves(proof, Self.hashes[index], at: size, size: size), "no such leaf")
                if size > 1 {
                    #expect(!proves(proof, Self.hashes[index], at: (index + 1) % size, size: size), "another place")
                    #expect(!proves(Array(proof.dropLast()), Self.hashes[index], at: index, size: size))
                }
            }
        }
    }

    @Test func consistencyIsProvedOfEachBeginningAndOfNothingElse() {
        for size in [1, 2, 3, 6, 8, 21, 64, 65] {
            let root = MerkleHash(Self.treeHash(Self.contents[..<size]))!
            for earlier in 0...size {
                let earlierRoot = MerkleHash(Self.treeHash(Self.contents[..<earlier]))!
                let proof = MerkleProof.consistency(from: earlier, in: Self.hashes[..<size])
                func proves(_ proof: [MerkleHash], _ earlierRoot: MerkleHash, _ root: MerkleHash) -> Bool {
                    MerkleProof.provesConsistency(
                        proof, from: (UInt64(earlier), earlierRoot), to: (UInt64(size), root))
                }
                #expect(proves(proof, earlierRoot, root), "\(earlier) to \(size)")
                #expect(!proves(proof, Self.hashes[69], root), "\(earlier) to \(size) from another tree")
                if earlier > 0 {
                    #expect(!proves(proof, earlierRoot, Self.hashes[69]), "\(earlier) to another tree")
                    #expect(!proves(proof + [root], earlierRoot, root))
                }
                if !proof.isEmpty { #expect(!proves(Array(proof.dropLast()), earlierRoot, root)) }
            }
        }
    }
}
