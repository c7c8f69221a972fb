import MerkleLog
import Testing

@Suite struct MerkleProofBuilderTests {
    /// The proofs by definition are the reference: every size, every leaf, every earlier size.
    @Test func onePassMakesTheProofsOfTheDefinition() throws {
        for size in 0...MerkleTreeTests.hashes.count {
            let leaves = MerkleTreeTests.hashes[..<size]
            var builder = MerkleProofBuilder(size: UInt64(size), earlier: (0...size).map(UInt64.init))
            for (index, leaf) in leaves.enumerated() { builder.append(leaf, provesInclusion: index % 3 != 1) }
            let proofs = try #require(builder.finish())
            var frontier = MerkleFrontier()
            for leaf in leaves { frontier.append(leaf) }
            #expect(proofs.root == frontier.root)
            for index in 0..<size {
                let expected = index % 3 != 1 ? MerkleProof.inclusion(of: index, in: leaves) : nil
                #expect(proofs.inclusion[UInt64(index)] == expected, "leaf \(index) of \(size)")
            }
            for earlier in 0...size {
                let expected = MerkleProof.consistency(from: earlier, in: leaves)
                #expect(proofs.consistency[UInt64(earlier)] == expected, "\(earlier) of \(size)")
            }
        }
    }

    @Test func aTreeThatIsNotWholeHasNoProofs() {
        var builder = MerkleProofBuilder(size: 2, earlier: [1, 9])
        builder.append(MerkleTreeTests.hashes[0])
        let proofs = builder.finish()
        #expect(proofs?.root == nil)
    }
}
