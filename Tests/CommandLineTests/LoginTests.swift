import AdministrationAPI
import AdministrationFixture
import CloudPorts
import Credentials
import Foundation
import Testing

/// Where the token comes from, and where `login` keeps it.
@Suite struct LoginTests {
    private func inDirectory(_ body: (URL) async throws -> Void) async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("login-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        try await body(directory)
    }

    private func mode(of path: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return (attributes[.posixPermissions] as? NSNumber)?.intValue ?? 0
    }

    @Test("a typed token is checked, kept for its server, and readable by its owner only")
    func keeps() async throws {
        try await inDirectory { home in
            try await LiveServer.run { live in
                var line = CommandLine()
                line.environment = ["HOME": home.path]
                line.typed = "  \(live.tokens[.operator] ?? "")\n"
                let login = await line.run(["login", "--server", live.address + "/"])
                #expect(login.code == 0 && login.output.contains("test-operator (operator)"), "\(login.error)")
                let path = home.path + "/.config/cloudwright/credentials"
                #expect(try mode(of: path) == 0o600)
                #expect(try mode(of: home.path + "/.config/cloudwright") == 0o700)
                #expect((await line.run(["service", "list", "--server", live.address])).code == 0)
                let other = await line.run([
                    "service", "list", "--server", live.address.replacing("127.0.0.1", with: "localhost"),
                ])
                #expect(other.code == 1, "a token is sent only to the server that it was kept for")

                line.typed = live.tokens[.auditor]
                #expect((await line.run(["login", "--server", live.address])).code == 0)
                let text = try String(contentsOfFile: path, encoding: .utf8)
                #expect(text.filter { $0 == "\n" }.count == 1 && text.contains(live.tokens[.auditor] ?? "-"))

                chmod(path, 0o644)
                let open = await line.run(["service", "list", "--server", live.address])
                #expect(open.code == 1 && open.error.contains("chmod 600"))
            }
        }
    }

    @Test("a password is set from what is typed, never from the command line")
    func setsPassword() async throws {
        try await LiveServer.run { live in
            var line = CommandLine()
            line.environment["CLOUDWRIGHT_SERVER"] = live.address
            line.environment["CLOUDWRIGHT_TOKEN"] = live.tokens[.operator]
            line.typed = "correct horse battery"
            let done = await line.run(["administrator", "set-password", "test-operator"])
            #expect(done.code == 0 && done.error.contains("/console/"), "\(done.error)")
            let isShown = (done.output + done.error).contains("correct")
            #expect(!isShown)
            let body = #"{"name":"test-operator","password":"correct horse battery"}"#
            let login = try await live.send("POST", "/api/v1/console/session", as: nil, body: body)
            #expect(login.status == 200)
            line.typed = "short"
            let short = await line.run(["administrator", "set-password", "test-operator"])
            #expect(short.code == 1 && short.error.contains("12 characters"), "\(short.error)")
            line.typed = nil
            #expect((await line.run(["administrator", "set-password", "test-operator"])).code == 1)
            #expect((await line.run(["administrator", "set-password", "test-operator", "--password", "x"])).code == 2)
        }
    }

    @Test("a second factor is enrolled, and a login by password asks for its code")
    func secondFactor() async throws {
        try await inDirectory { home in
            try await LiveServer.run { live in
                _ = try await live.send(
                    "PUT", "/api/v1/administrators/test-operator/password",
                    body: #"{"password":"correct horse battery"}"#)
                var line = CommandLine()
                line.environment = [
                    "HOME": home.path, "CLOUDWRIGHT_SERVER": live.address,
                    "CLOUDWRIGHT_TOKEN": live.tokens[.operator] ?? "",
                ]
                let command = ["administrator", "second-factor"]
                #expect((await line.run(command + ["show", "test-operator"])).output.contains("not active"))
                line.typed = "000000"
                let refused = await line.run(command + ["enrol", "test-operator"])
                #expect(refused.code == 1 && refused.error.contains("otpauth://totp/testcloud:test-operator?secret="))
                let begun = try await live.send(
                    "POST", "/api/v1/administrators/test-operator/second-factor", as: .operator, body: "{}")
                let codes = try await confirm(live, try begun.value(API.SecondFactorEnrolment.self))
                line.environment["CLOUDWRIGHT_TOKEN"] = nil
                line.typed = nil
                line.typedLines = ["correct horse battery"]
                let half = await line.run(["login", "--name", "test-operator"])
                #expect(half.code == 1 && half.error.contains("second factor"), "\(half.error)")
                line.typedLines = ["correct horse battery", codes[0]]
                let whole = await line.run(["login", "--name", "test-operator"])
                #expect(whole.code == 0 && whole.output.contains("as test-operator (operator)"), "\(whole.error)")
                #expect((await line.run(["service", "list"])).code == 0, "the session's token was kept")
                line.typedLines = [codes[1]]
                #expect((await line.run(command + ["remove", "test-operator"])).code == 0)
                #expect((await line.run(command + ["show", "test-operator"])).output.contains("not active"))
                #expect((await line.run(["login", "--name", "a", "--token-file", "b"])).code == 2)
            }
        }
    }

    /// Confirms the enrolment as the app would, and gives back the recovery codes.
    private func confirm(_ live: LiveServer, _ enrolment: API.SecondFactorEnrolment) async throws -> [String] {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
        let bits = enrolment.secret.map { character in
            let text = String(alphabet.firstIndex(of: character) ?? 0, radix: 2)
            return String(repeating: "0", count: 5 - text.count) + text
        }.joined()
        let secret = stride(from: 0, to: bits.count - 7, by: 8).map { start in
            UInt8(bits.dropFirst(start).prefix(8), radix: 2) ?? 0
        }
        let code = TimeBasedCode(secret: secret).code(ofStep: TimeBasedCode.step(at: LiveServer.now()))
        let confirmed = try await live.send(
            "POST", "/api/v1/administrators/test-operator/second-factor/confirmation", as: .operator,
            body: #"{"code":"\#(code)"}"#)
        return try confirmed.value(API.RecoveryCodes.self).codes
    }

    @Test("a wrong token, or none, is not kept")
    func wrong() async throws {
        try await inDirectory { home in
            try await LiveServer.run { live in
                for typed in ["cwa_wrong", "", nil] {
                    var line = CommandLine()
                    line.environment = ["HOME": home.path]
                    line.typed = typed
                    #expect((await line.run(["login", "--server", live.address])).code == 1)
                    #expect(!FileManager.default.fileExists(atPath: home.path + "/.config"))
                }
            }
        }
    }

    @Test("a named file goes before the environment, which goes before what was kept")
    func order() async throws {
        try await inDirectory { home in
            try await LiveServer.run { live in
                let file = home.path + "/administrator-token"
                try Data("\(live.tokens[.auditor] ?? "")\n".utf8).write(to: URL(fileURLWithPath: file))
                chmod(file, 0o600)
                var line = CommandLine()
                line.environment = ["HOME": home.path, "CLOUDWRIGHT_TOKEN": "cwa_wrong"]
                let named = await line.run(["service", "list", "--server", live.address, "--token-file", file])
                #expect(named.code == 0, "\(named.error)")
                #expect((await line.run(["service", "list", "--server", live.address])).code == 1)
                chmod(file, 0o640)
                let open = await line.run(["service", "list", "--server", live.address, "--token-file", file])
                #expect(open.code == 1 && open.error.contains("chmod 600"))
                let none = await line.run(["service", "list", "--server", live.address, "--token-file", "/nonexistent"])
                #expect(none.code == 1 && none.error.contains("cannot read /nonexistent"))
            }
        }
    }
}
