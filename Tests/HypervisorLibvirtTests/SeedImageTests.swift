import CloudModel
import HypervisorLibvirt
import Testing

/// The image's fields where ECMA-119 and Joliet put them; that a kernel reads it is shown in the lab.
struct SeedImageTests {
    private let image = SeedImage.made(
        CloudInitSeed(userData: String(repeating: "u", count: 2_049), metaData: "", networkConfig: "version: 2\n"))

    private func text(_ range: Range<Int>) -> String { String(decoding: image[range], as: UTF8.self) }
    private func number(_ offset: Int) -> Int {
        (0..<4).reduce(0) { $0 | Int(image[offset + $1]) << ($1 * 8) }
    }

    @Test func descriptorsAreWhereReadersLook() {
        for (sector, type) in [(16, 1), (17, 2), (18, 255)] {
            #expect(image[sector * 2_048] == UInt8(type))
            #expect(text(sector * 2_048 + 1..<sector * 2_048 + 6) == "CD001")
        }
        #expect(text(16 * 2_048 + 40..<16 * 2_048 + 46) == "cidata")
        #expect(text(17 * 2_048 + 88..<17 * 2_048 + 91) == "%/E")
        // One sector for each of two documents, two for the longer one.
        #expect(image.count == (25 + 4) * 2_048)
        #expect(number(16 * 2_048 + 80) == 29)
        #expect(image[16 * 2_048 + 881] == 1)
    }

    @Test func documentsAreFoundByTheirRecords() throws {
        let root = number(16 * 2_048 + 158) * 2_048
        var offset = root
        var found: [String: (sector: Int, size: Int)] = [:]
        while image[offset] > 0 {
            let length = Int(image[offset + 32])
            found[text(offset + 33..<offset + 33 + length)] = (number(offset + 2), number(offset + 10))
            #expect(image[offset].isMultiple(of: 2))
            offset += Int(image[offset])
        }
        #expect(Set(found.keys) == ["\0", "\u{1}", "user-data", "meta-data", "network-config"])
        let network = try #require(found["network-config"])
        #expect(text(network.sector * 2_048..<network.sector * 2_048 + network.size) == "version: 2\n")
        let user = try #require(found["user-data"])
        #expect(user.size == 2_049)
        #expect(image[user.sector * 2_048..<user.sector * 2_048 + user.size].allSatisfy { $0 == 0x75 })
        #expect(found["meta-data"]?.size == 0)
    }

    @Test func theSameDocumentsMakeTheSameImage() {
        let seed = CloudInitSeed(userData: "a", metaData: "b")
        #expect(SeedImage.made(seed) == SeedImage.made(seed))
    }
}
