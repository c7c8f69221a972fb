import Passwords
import Testing

@Suite struct PasswordHashTests {
    private static let cheap = PasswordHash.Cost(memoryKiB: 64, passes: 1, lanes: 1)

    @Test("a hash matches its password and no other", arguments: ["correct horse battery", "密码 密码", "", "a\u{0}b"])
    func matches(password: String) throws {
        var random = SystemRandomNumberGenerator()
        let hash = try PasswordHash.make(of: password, cost: Self.cheap, using: &random)
        #expect(hash.matches(password))
        #expect(!hash.matches(password + "x"))
        #expect(!hash.encoded.contains(password) || password.isEmpty)
        let other = try PasswordHash.make(of: password, cost: Self.cheap, using: &random)
        #expect(other != hash, "each hash has a salt of its own")
        #expect(PasswordHash(encoded: hash.encoded).matches(password), "as it comes back from the log database")
    }

    @Test("the encoding is that of the reference implementation, with the cost of RFC 9106")
    func encoding() throws {
        // `echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1`, from the reference implementation's own tests.
        let known = PasswordHash(
            encoded: "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
        #expect(known.matches("password"))
        #expect(!known.matches("differentpassword"))
        var random = SystemRandomNumberGenerator()
        let own = try PasswordHash.make(of: "password", using: &random)
        #expect(own.encoded.hasPrefix("$argon2id$v=19$m=65536,t=3,p=4$"))
        #expect(own.matches("password"))
    }

    @Test(
        "what is no hash matches nothing", arguments: ["", "$argon2id$", "plain", "$argon2id$v=19$m=1,t=1,p=1$AA$AA"])
    func damaged(text: String) {
        #expect(!PasswordHash(encoded: text).matches("password"))
    }

    @Test("a very long password is refused without being hashed")
    func long() throws {
        var random = SystemRandomNumberGenerator()
        let text = String(repeating: "x", count: PasswordHash.maximumPasswordLength + 1)
        #expect(try !PasswordHash.make(of: text, cost: Self.cheap, using: &random).matches(text))
    }

    @Test("without a hash the answer is no, and a crowd is refused instead of queued without bound")
    func checker() async throws {
        let checker = PasswordChecker(cost: Self.cheap)
        #expect(try await !checker.check("decoy", against: nil))
        let hash = try await checker.hash("good password")
        #expect(try await checker.check("good password", against: hash))
        let slow = PasswordChecker(cost: PasswordHash.Cost(memoryKiB: 8_192, passes: 4, lanes: 1))
        let refused = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<(PasswordChecker.maximumWaiting * 2) {
                group.addTask { (try? await slow.hash("crowd")) == nil }
            }
            return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(refused > 0 && refused <= PasswordChecker.maximumWaiting)
    }
}
