import CloudModel
import Credentials
import Testing

@Suite struct ChangeLinkTests {
    private let signer = ChangeLinkSigner(key: Array(0..<32))
    private let link = ChangeLink(
        offer: ConstraintOffer(service: "web", constraint: .maximumInstances, from: 3, to: 6),
        expiresAt: Timestamp(microseconds: 1_000), nonce: "limit-reached:web/ops@example.org")

    @Test(arguments: ConstraintKind.allCases)
    func aLinkReadsBack(_ kind: ConstraintKind) throws {
        var link = link
        link.offer.constraint = kind
        link.nonce = "a:b|c.d é"
        #expect(try signer.verify(signer.token(for: link), at: .epoch) == link)
    }

    @Test func itFitsIntoAURL() {
        let token = signer.token(for: link)
        #expect(
            token.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                    || "-_.".utf8.contains(byte)
            })
    }

    @Test func itExpires() throws {
        let token = signer.token(for: link)
        #expect(try signer.verify(token, at: Timestamp(microseconds: 999)) == link)
        #expect(throws: ChangeLinkError.expired) { try signer.verify(token, at: Timestamp(microseconds: 1_000)) }
    }

    @Test func anotherKeysLinkIsForged() {
        let other = ChangeLinkSigner(key: Array(1..<33))
        #expect(throws: ChangeLinkError.forged) { try other.verify(signer.token(for: link), at: .epoch) }
    }

    /// No character of a token can be changed, whatever it becomes.
    @Test func everyChangeIsNoticed() {
        let token = Array(signer.token(for: link).utf8)
        for position in token.indices {
            for character in "A9_.".utf8 where character != token[position] {
                var changed = token
                changed[position] = character
                #expect(throws: ChangeLinkError.self) {
                    try signer.verify(String(decoding: changed, as: UTF8.self), at: .epoch)
                }
            }
        }
    }

    @Test func aPayloadOfTheOldLinkWithANewOffersSignatureIsForged() {
        var greedy = link
        greedy.offer.to = 1_000
        let payload = signer.token(for: greedy).split(separator: ".")[0]
        let tag = signer.token(for: link).split(separator: ".")[1]
        #expect(throws: ChangeLinkError.forged) { try signer.verify("\(payload).\(tag)", at: .epoch) }
    }

    @Test(arguments: ["", ".", "a", "a.b", "a.b.c", "====.====", "YQ.YQ", String(repeating: "A", count: 3_000)])
    func otherTextIsMalformed(_ token: String) {
        #expect(throws: ChangeLinkError.malformed) { try signer.verify(token, at: .epoch) }
    }

    /// A token has one spelling: not even the unused bits of its last characters are free.
    @Test func theUnusedBitsAreNotFree() {
        let token = signer.token(for: link)
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        let accepted = alphabet.filter { last in
            (try? signer.verify(String(token.dropLast()) + String(last), at: .epoch)) != nil
        }
        #expect(accepted.count == 1)
    }
}

@Suite struct Base64Tests {
    /// RFC 4648, section 10.
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ])
    func theVectorsOfTheRFC(_ text: String, _ encoded: String) {
        #expect(Base64.encoded(Array(text.utf8), .standard) == encoded)
        #expect(Base64.decoded(Array(encoded.utf8), .standard) == Array(text.utf8))
        let bare = encoded.filter { $0 != "=" }
        #expect(Base64.decoded(Array(bare.utf8), .standard) == Array(text.utf8))
        #expect(Base64.encoded(Array(text.utf8), .url) == bare)
        #expect(Base64.decoded(Array(bare.utf8), .url) == Array(text.utf8))
    }

    @Test(arguments: ["Z", "Zm9v=", "Zg=", "Z===", "Zm 9v", "Zm9v\n", "Zm-_", "=", "===="])
    func whatIsNotBase64(_ text: String) { #expect(Base64.decoded(Array(text.utf8), .standard) == nil) }

    @Test(arguments: ["Zg==", "Zm+/", "Zh", "Z"])
    func whatIsNotInTheURLAlphabet(_ text: String) { #expect(Base64.decoded(Array(text.utf8), .url) == nil) }
}

@Suite struct SecretTests {
    /// RFC 4231, test case 2.
    @Test func theTagIsHMACSHA256() {
        let tagger = SecretTagger(key: Array("Jefe".utf8))
        #expect(
            tagger.tag(of: "what do ya want for nothing?")
                == "hmac-sha256:5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    }

    @Test func tagsTellSecretsAndKeysApart() {
        let tagger = SecretTagger(key: Array(0..<32))
        #expect(tagger.tag(of: "a") == tagger.tag(of: "a"))
        #expect(tagger.tag(of: "a") != tagger.tag(of: "b"))
        #expect(tagger.tag(of: "a") != SecretTagger(key: Array(1..<33)).tag(of: "a"))
    }

    @Test func aBufferIsBoundedAndWiped() {
        let buffer = SecretBuffer(capacity: 4)
        Array("secret".utf8).withUnsafeBytes { buffer.append($0) }
        #expect(buffer.bytes.elementsEqual("secr".utf8) && buffer.isTruncated)
        buffer.append(byte: 0x41)
        #expect(buffer.count == 4)
        #expect(!buffer.isWiped)
        buffer.wipe()
        #expect(buffer.isWiped && buffer.count == 0 && !buffer.isTruncated)
        #expect(!buffer.fill { _ in nil })
        #expect(
            buffer.fill {
                $0[0] = 7; return 1
            })
        #expect(buffer.bytes.elementsEqual([7]))
    }
}
