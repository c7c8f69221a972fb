import AdministrationFixture
import Foundation
import Testing

/// Exit codes, and what goes to which stream.
@Suite struct ExitCodeTests {
    @Test(
        "a wrong command line is 2, on standard error",
        arguments: [
            ["nonsense"], ["service", "lst"], ["service", "show"], ["constraint", "set", "shop", "maximum", "3"],
            ["constraint", "set", "shop", "maximum-instances", "many"], ["service", "list", "--timeout", "0"],
            ["service", "list", "-o", "xml"], ["usage", "report", "--period", "1h"],
            ["usage", "report", "--from", "yesterday"], ["event", "list", "--last", "0"],
            ["audit", "report", "--failed", "--outcome", "success"],
            ["audit", "report", "--ranking", "--consumer", "a"],
            ["administrator", "create", "ada", "--role", "consumer"],
            ["administrator", "create", "ada", "--role", "auditor", "--consumer", "acme"],
            ["consumer", "create-key", "acme", "--expires", "soon"], ["apply"], ["timeline", "--last", "101"],
        ])
    func usage(arguments: [String]) async {
        let outcome = await CommandLine().run(arguments)
        #expect(outcome.code == 2, "\(outcome.error)")
        #expect(outcome.output.isEmpty && outcome.error.contains("rror"))
    }

    @Test("help and version are 0, on standard output")
    func help() async {
        let help = await CommandLine.run("--help")
        #expect(help.code == 0 && help.error.isEmpty)
        for command in ["service", "instance", "timeline", "apply", "serve", "login"] {
            #expect(help.output.contains("  \(command)"), "\(command)")
        }
        let version = await CommandLine.run("--version")
        #expect(version.code == 0 && version.output.hasPrefix("0."))
        let completions = await CommandLine.run("--generate-completion-script", "bash")
        #expect(completions.code == 0 && completions.output.contains("complete"))
    }

    @Test("a server that is not there is 1, with what to do")
    func notThere() async {
        let outcome = await CommandLine.run("service", "list", "--server", "http://127.0.0.1:1")
        #expect(outcome.code == 1 && outcome.output.isEmpty)
        #expect(outcome.error.contains("cloudwright serve") && outcome.error.contains("--server"))
        let wrong = await CommandLine.run("service", "list", "--server", "localhost")
        #expect(wrong.code == 1 && wrong.error.contains("http://HOST:PORT"))
    }

    @Test("what the platform refuses is 1, with its reason")
    func refused() async throws {
        try await LiveServer.run { live in
            let missing = await live.command("service", "show", "nobody")
            #expect(missing.code == 1 && missing.error.contains("no service 'nobody'"))
            let role = await live.command("administrator", "list", role: "auditor")
            #expect(role.code == 1 && role.error.contains("auditor") && role.error.contains("administrator"))
            let value = await live.command("constraint", "set", "shop", "maximum-instances", "0")
            #expect(value.code == 1 && value.error.contains("1 or more"))
            var line = CommandLine()
            line.environment["CLOUDWRIGHT_TOKEN"] = "cwa_wrong"
            let token = await line.run(["service", "list", "--server", live.address])
            #expect(token.code == 1 && token.error.contains("cloudwright login"))
        }
    }

    @Test("an unhealthy platform is 1")
    func health() async throws {
        try await LiveServer.run { live in
            let good = await CommandLine.run("health", "--server", live.address)
            #expect(good.code == 0 && good.output.contains("gateway"))
            await live.cloud.setPart("spool", "the disk is full")
            let bad = await CommandLine.run("health", "--server", live.address)
            #expect(bad.code == 1 && bad.output.contains("the disk is full") && bad.error.contains("spool"))
        }
    }

    @Test("no secret is ever taken from the command line")
    func noSecretOptions() async throws {
        let dump = await CommandLine.run("--experimental-dump-help")
        let tool = try JSONSerialization.jsonObject(with: Data(dump.output.utf8))
        var names: [String] = []
        func collect(_ value: Any) {
            if let object = value as? [String: Any] {
                if object["kind"] as? String == "option", let all = object["names"] as? [[String: Any]] {
                    names += all.compactMap { $0["name"] as? String }
                }
                object.values.forEach(collect)
            } else if let list = value as? [Any] {
                list.forEach(collect)
            }
        }
        collect(tool)
        #expect(names.contains("server"))
        for name in names {
            for secret in ["token", "password", "secret", "key"] where name.contains(secret) {
                #expect(name.hasSuffix("-file"), "--\(name) would put a secret into the process list")
            }
        }
    }
}
