import MerkleLog
import Testing

@Suite struct CheckpointTests {
    private let checkpoint = Checkpoint(origin: "example.org/audit", size: 42, root: .leaf([1, 2, 3]))

    private func signer(_ name: String = "example", _ seed: UInt8 = 7) throws -> CheckpointSigner {
        try CheckpointSigner(name: name, seed: [UInt8](repeating: seed, count: 32))
    }

    @Test func aSignedCheckpointReadsBack() throws {
        let signer = try signer()
        let note = try checkpoint.signed(by: signer)
        #expect(note.hasPrefix("example.org/audit\n42\n"))
        #expect(try Checkpoint(note: note, verifiedBy: signer.verifier) == checkpoint)
        // The key as the text that an auditor keeps.
        let kept = try CheckpointVerifier(signer.verifier.description)
        #expect(try Checkpoint(note: note, verifiedBy: kept) == checkpoint)
        // Beside a witness's signature.
        let cosigned = note + "— witness AAAA\n"
        #expect(try Checkpoint(note: cosigned, verifiedBy: kept) == checkpoint)
    }

    @Test func anythingChangedIsNotSigned() throws {
        let signer = try signer()
        let note = try checkpoint.signed(by: signer)
        for (old, new) in [("42", "43"), ("audit", "other"), ("example.org", "example.com")] {
            let changed = note.replacing(old, with: new, maxReplacements: 1)
            #expect(throws: CheckpointError.notSigned(by: "example")) {
                try Checkpoint(note: changed, verifiedBy: signer.verifier)
            }
        }
        for other in [try self.signer("example", 8), try self.signer("other", 7)] {
            #expect(throws: CheckpointError.notSigned(by: other.verifier.name)) {
                try Checkpoint(note: note, verifiedBy: other.verifier)
            }
        }
    }

    @Test(arguments: ["", "x", "example+00000000+AAAA", "no key at all"])
    func whatIsNoKeyIsRefused(text: String) {
        #expect(throws: CheckpointError.badKey(text)) { try CheckpointVerifier(text) }
    }

    @Test func aKeyWhoseNameWasChangedIsRefused() throws {
        let text = try signer().verifier.description.replacing("example", with: "exemple")
        #expect(throws: CheckpointError.badKey(text)) { try CheckpointVerifier(text) }
    }
}
