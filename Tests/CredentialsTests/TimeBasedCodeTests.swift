import CloudModel
import Credentials
import Testing

/// The second factor's codes against RFC 6238, and what stands in for them.
@Suite struct TimeBasedCodeTests {
    private static let secret = Array("12345678901234567890".utf8)
    private static func time(_ seconds: Int64) -> Timestamp { Timestamp(microseconds: seconds * 1_000_000) }

    @Test(
        "the test vectors of RFC 6238, appendix B",
        arguments: [
            (59, "94287082"), (1_111_111_109, "07081804"), (1_111_111_111, "14050471"), (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"), (20_000_000_000, "65353130"),
        ] as [(Int64, String)])
    func vectors(seconds: Int64, expected: String) {
        let code = TimeBasedCode(secret: Self.secret, digits: 8)
        #expect(code.code(ofStep: TimeBasedCode.step(at: Self.time(seconds))) == expected)
        let short = TimeBasedCode(secret: Self.secret)
        #expect(short.code(ofStep: TimeBasedCode.step(at: Self.time(seconds))) == expected.suffix(6))
    }

    @Test("a code is taken in its step and one beside it, and nothing else is")
    func drift() {
        let code = TimeBasedCode(secret: Self.secret)
        let now = Self.time(1_234_567_890)
        let step = TimeBasedCode.step(at: now)
        for beside in -3...3 as ClosedRange<Int64> {
            let found = code.step(of: code.code(ofStep: step + beside), at: now)
            #expect(found == (abs(beside) <= 1 ? step + beside : nil), "\(beside)")
        }
        #expect(code.step(of: "005 924", at: now) == step, "apps show codes in two groups")
        for wrong in ["", "5924", "0005924", "00592a", "٠٠٥٩٢٤", "-05924", "+05924"] {
            #expect(code.step(of: wrong, at: now) == nil, "\(wrong)")
        }
    }

    @Test("the secret for people and for apps")
    func address() {
        let code = TimeBasedCode(secret: Self.secret)
        #expect(code.base32 == "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
        // RFC 4648, section 10, without padding.
        for (text, expected) in [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ")] {
            #expect(TimeBasedCode(secret: Array(text.utf8)).base32 == expected)
        }
        #expect(
            code.address(issuer: "My cloud", account: "ada") == "otpauth://totp/My%20cloud:ada?secret=\(code.base32)"
                + "&issuer=My%20cloud&algorithm=SHA1&digits=6&period=30")
    }

    @Test("a recovery code is known however it is typed, and no other is")
    func recovery() {
        var random = SystemRandomNumberGenerator()
        let codes = (0..<100).map { _ in RecoveryCode.generate(using: &random) }
        #expect(Set(codes).count == 100 && codes.allSatisfy { $0.count == 19 })
        let digest = RecoveryCode.digest(of: "0011-abcd-0011-wxyz")
        #expect(digest != nil && digest == RecoveryCode.digest(of: " oOiL ABCD 0011wxyz"))
        #expect(digest != RecoveryCode.digest(of: "0011-abcd-0011-wxy0"))
        for wrong in ["", "123456", "0011-abcd-0011-wxyu", "0011-abcd-0011-wxyz0"] {
            #expect(RecoveryCode.digest(of: wrong) == nil, "\(wrong)")
        }
    }

    @Test("a sealed secret opens with its key and for its owner alone")
    func box() {
        let box = SecretBox(key: Array(repeating: 1, count: 32))
        let sealed = box.sealed(Self.secret, for: "ada") ?? ""
        #expect(box.opened(sealed, for: "ada") == Self.secret)
        #expect(box.opened(sealed, for: "eve") == nil)
        #expect(SecretBox(key: Array(repeating: 2, count: 32)).opened(sealed, for: "ada") == nil)
        #expect(box.sealed(Self.secret, for: "ada") != sealed, "a nonce of its own each time")
        #expect(box.opened(String(sealed.dropLast(8)) + "AAAAAAA=", for: "ada") == nil)
    }
}
