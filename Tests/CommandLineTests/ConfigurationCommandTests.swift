import AdministrationAPI
import AdministrationFixture
import CloudModel
import Foundation
import Testing

@Suite struct ConfigurationCommandTests {
    private static let good = """
        apiVersion: cloudwright/v1
        kind: Cloud
        metadata: {name: testcloud}
        spec: {}
        ---
        apiVersion: cloudwright/v1
        kind: CloudConsumer
        metadata: {name: acme}
        spec: {displayName: New name}

        """

    private func withFile(_ text: String, _ body: (String) async throws -> Void) async throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("cloud-\(UUID().uuidString).yaml")
        try Data(text.utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        try await body(file.path)
    }

    @Test("validate needs no server, and tells faults with file, line and remedy")
    func validate() async throws {
        try await withFile(Self.good) { file in
            let outcome = await CommandLine.run("validate", "-f", file)
            #expect(outcome.code == 0)
            #expect(outcome.output == "\(file) is valid: 0 services, 1 consumer, 0 failover groups, 0 price plans.\n")
        }
        try await withFile(Self.good.replacing("displayName", with: "dispalyName")) { file in
            let outcome = await CommandLine.run("validate", "-f", file)
            #expect(outcome.code == 1 && outcome.output.isEmpty)
            #expect(outcome.error.contains("\(file):9:") && outcome.error.contains("displayName"), "\(outcome.error)")
        }
        let missing = await CommandLine.run("validate", "-f", "/nonexistent.yaml")
        #expect(missing.code == 1 && missing.error.contains("cannot read /nonexistent.yaml"))
    }

    @Test("apply shows the changes, a dry run makes none, and doing it again changes nothing")
    func apply() async throws {
        try await LiveServer.run { live in
            try await withFile(Self.good) { file in
                let before = await live.cloud.configuration()
                let dry = await live.command("apply", "-f", file, "--dry-run")
                #expect(dry.code == 0 && dry.output.contains("- CloudService/shop removed"))
                #expect(dry.output.contains("~ CloudConsumer/acme changed\n    spec.displayName: "), "\(dry.output)")
                #expect(dry.output.contains("Nothing was changed (dry run)."))
                #expect(await live.cloud.configuration() == before)
                let done = await live.command("apply", "-f", file, role: "operator")
                #expect(done.code == 0 && done.output.contains("Applied."), "\(done.error)")
                #expect(await live.cloud.configuration().services.isEmpty)
                let again = await live.command("apply", "-f", file)
                #expect(again.output == "Nothing changes: it is as the file says already.\n")
            }
        }
    }

    @Test("a faulty file is not sent")
    func faulty() async throws {
        try await LiveServer.run { live in
            try await withFile("kind: Cloud\n") { file in
                let outcome = await live.command("apply", "-f", file)
                #expect(outcome.code == 1 && outcome.error.contains("\(file):1:"))
                #expect(await live.cloud.configuration() == LiveServer.configuration)
            }
        }
    }

    @Test("what is exported can be applied again without a change")
    func export() async throws {
        try await LiveServer.run { live in
            let yaml = await live.command("export", role: "auditor")
            #expect(yaml.code == 0 && yaml.output.hasPrefix("apiVersion: cloudwright/v1\n"))
            try await withFile(yaml.output) { file in
                #expect((await live.command("apply", "-f", file, "--dry-run")).output.hasPrefix("Nothing changes"))
            }
            let json = await live.command("export", "-o", "json")
            #expect(json.output.contains("\"resources\":["))
        }
    }
}
