import CloudModel
import Glibc
import LoadBalancing
import Testing

@Suite struct RendezvousLogarithmTests {
    @Test(arguments: UInt64(0)..<20)
    func agreesWithTheSystemLibrary(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<1_000 {
            let value = (Double(random.next() >> 11) + 0.5) * 0x1p-53
            let expected = Glibc.log(value)
            #expect(abs(RendezvousHash.naturalLogarithm(value) - expected) <= abs(expected) * 4e-16)
        }
        for value in [0x1p-54, 0.5, 0.707, 0.708, 1 - 0x1p-53] {
            let expected = Glibc.log(value)
            #expect(abs(RendezvousHash.naturalLogarithm(value) - expected) <= abs(expected) * 4e-16)
        }
    }
}
