import CloudModel
import Credentials
import Testing

@Suite struct APIKeyTests {
    @Test(arguments: APIKey.Kind.allCases)
    func aNewKeyReadsBack(_ kind: APIKey.Kind) throws {
        let key = APIKey.generate(kind)
        let read = try APIKey(parsing: key.text)
        #expect(read == key)
        #expect(read.kind == kind)
        #expect(key.text.hasPrefix("\(kind.rawValue)_"))
        #expect(key.text.utf8.count == kind.rawValue.utf8.count + 1 + 8 + 1 + 32 + 6)
        #expect(key.text.hasPrefix(key.prefix + "_"))
        #expect(key.prefix.utf8.count == kind.rawValue.utf8.count + 9)
    }

    /// The same key from the same randomness: what is handed out does not change with the program's version.
    @Test func theFormIsStable() {
        var random = SeededGenerator(seed: 7)
        let key = APIKey(.consumer, using: &random)
        var again = SeededGenerator(seed: 7)
        #expect(APIKey(.consumer, using: &again) == key)
        #expect(
            key.text.utf8.allSatisfy {
                "_0123456789abcdefghjkmnpqrstvwxyz".utf8.contains($0) || $0 == UInt8(ascii: "w")
            })
    }

    @Test func twoKeysAreNeverTheSame() {
        let keys = (0..<1_000).map { _ in APIKey.generate(.consumer).text }
        #expect(Set(keys).count == 1_000)
        // Each character of the secret takes all its values.
        for position in 12..<44 {
            let characters = Set(keys.map { Array($0.utf8)[position] })
            #expect(characters.count == 32, "position \(position)")
        }
    }

    @Test func faultsAreToldApart() {
        let key = APIKey.generate(.consumer).text
        #expect(throws: APIKey.Fault.notAKey) { try APIKey(parsing: "sk_" + key.dropFirst(3)) }
        #expect(throws: APIKey.Fault.notAKey) { try APIKey(parsing: "") }
        #expect(throws: APIKey.Fault.wrongLength) { try APIKey(parsing: String(key.dropLast())) }
        #expect(throws: APIKey.Fault.wrongLength) { try APIKey(parsing: key + "0") }
        #expect(throws: APIKey.Fault.unknownCharacter) { try APIKey(parsing: String(key.dropLast()) + "u") }
        #expect(throws: APIKey.Fault.unknownCharacter) { try APIKey(parsing: String(key.dropLast()) + "A") }
    }

    /// Every wrong character and every swap of neighbours is noticed.
    @Test func typosAreNoticed() throws {
        let key = Array(APIKey.generate(.consumer).text.utf8)
        let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)
        for position in (3..<key.count) where position != 11 {
            for character in alphabet where character != key[position] {
                var typo = key
                typo[position] = character
                #expect(throws: APIKey.Fault.checksumMismatch) {
                    try APIKey(parsing: String(decoding: typo, as: UTF8.self))
                }
            }
            guard position + 1 < key.count, position + 1 != 11, key[position] != key[position + 1] else { continue }
            var swapped = key
            swapped.swapAt(position, position + 1)
            #expect(throws: APIKey.Fault.checksumMismatch) {
                try APIKey(parsing: String(decoding: swapped, as: UTF8.self))
            }
        }
    }

    @Test func noTextOfAKeyShowsItsSecret() {
        let key = APIKey.generate(.administrator)
        let secret = String(key.text.dropFirst(13))
        var dumped = ""
        dump(key, to: &dumped)
        for text in ["\(key)", String(reflecting: key), "\([key])", dumped] {
            #expect(!text.contains(secret) && text.contains(key.prefix))
        }
    }
}

@Suite struct KeyDigestTests {
    /// FIPS 180-4's examples.
    @Test(arguments: [
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ])
    func isSHA256(_ text: String, _ hex: String) {
        #expect(KeyDigest(of: text).description == hex)
        #expect(KeyDigest(hex: hex) == KeyDigest(of: text))
        #expect(KeyDigest(hex: hex.uppercased()) == KeyDigest(of: text))
    }

    @Test func aDifferenceAnywhereIsSeen() throws {
        let hex = Array(KeyDigest(of: "key").description)
        for position in hex.indices {
            var other = hex
            other[position] = other[position] == "0" ? "1" : "0"
            #expect(try #require(KeyDigest(hex: String(other))) != KeyDigest(of: "key"))
        }
    }

    @Test(arguments: ["", "abc", String(repeating: "g", count: 64), String(repeating: "0", count: 65)])
    func otherTextIsNone(_ text: String) { #expect(KeyDigest(hex: text) == nil) }
}
