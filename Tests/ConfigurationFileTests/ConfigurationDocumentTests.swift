import CloudModel
import ConfigurationFile
import Foundation
import Testing

/// Texts for the tests.
enum Sample {
    static let cloud = """
        apiVersion: cloudwright/v1
        kind: Cloud
        metadata: {name: demo}
        spec: {}

        """

    static func document(_ kind: String, _ name: String, _ spec: String) -> String {
        let indented = spec.split(separator: "\n", omittingEmptySubsequences: false).map { "  \($0)" }
        return "---\napiVersion: cloudwright/v1\nkind: \(kind)\nmetadata: {name: \(name)}\nspec:\n"
            + indented.joined(separator: "\n") + "\n"
    }

    /// The smallest service that there can be, with `more` below.
    static func service(_ name: String = "web", _ more: String = "", path: String = "/") -> String {
        document("CloudService", name, "routes: [{path: \(path)}]\nprocess: {command: [run, \"{port}\"]}\n\(more)")
    }

    static func parse(_ text: String) throws -> ConfigurationDocument {
        try ConfigurationDocument(parsing: text, file: "cloud.yaml")
    }

    /// The faults of a text, each as one line.
    static func faults(_ text: String) -> [String] {
        do {
            _ = try parse(text)
            return []
        } catch {
            return (error as? ConfigurationFaults)?.faults.map(\.description) ?? ["\(error)"]
        }
    }

    static var root: URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
    }
}

@Suite struct ConfigurationDocumentTests {
    @Test func theExampleIsRead() throws {
        let text = try String(contentsOf: Sample.root.appending(path: "Examples/cloud.yaml"), encoding: .utf8)
        let document = try Sample.parse(text)
        #expect(document.settings.name == "demo")
        #expect(document.settings.gateway.listeners.map(\.endpoint.description) == ["0.0.0.0:8080", "[::]:8080"])
        #expect(document.settings.mailRelay?.passwordFile == "/etc/cloudwright/smtp-password")
        #expect(document.configuration.administratorChannels.count == 3)
        #expect(document.configuration.services.map(\.id) == ["images", "search", "shop"])
        let images = try #require(document.configuration.services.first)
        #expect(images.owner == "acme")
        #expect(
            images.routes == [
                Route(host: "images.example.org"), Route(host: "*.images.example.org", pathPrefix: "/v2"),
            ])
        #expect(images.constraints.consumerHold == .seconds(2))
        #expect(images.gateway.maximumBodySize == .mebibytes(64))
        guard case .process(let template) = images.instances else {
            Issue.record("images is not made of processes")
            return
        }
        #expect(template.command == ["sample-service", "--port", "{port}", "--instance", "{instance}"])
        #expect(template.limits == ResourceLimits(cpuMillicores: 500, memory: .mebibytes(256)))
        let search = document.configuration.services[1]
        #expect(search.constraints.maximumInstances == 3)
        #expect(document.configuration.services[2].loginRules.count == 3)
        #expect(document.configuration.consumers.map(\.id) == ["acme", "globex"])
        #expect(document.configuration.consumers[0].entitlements == ["images", "search"])
        #expect(document.configuration.failoverGroups.map(\.mode) == [.activePassive])
    }

    @Test func whatIsLeftOutHasItsDefault() throws {
        let document = try Sample.parse(Sample.cloud + Sample.service())
        #expect(document.settings == PlatformSettings(name: "demo"))
        #expect(
            document.configuration
                == CloudConfiguration(services: [
                    CloudService(
                        id: "web", routes: [Route()], instances: .process(ProcessTemplate(command: ["run", "{port}"])))
                ]))
    }

    @Test func emptyValuesCountAsLeftOut() throws {
        let text = Sample.cloud + Sample.service("web", "owner:\nscaling:\nconstraints: ~\nloginRules: null")
        #expect(try Sample.parse(text) == Sample.parse(Sample.cloud + Sample.service()))
    }

    @Test func documentsMayComeInAnyOrderAndWithComments() throws {
        let text = "# first\n" + Sample.service() + "---\n# nothing\n---\n" + Sample.cloud
        #expect(try Sample.parse(text) == Sample.parse(Sample.cloud + Sample.service()))
    }

    @Test func textsNeedNoQuotes() throws {
        let text =
            Sample.cloud
            + Sample.document(
                "CloudService", "web",
                """
                routes: [{host: WWW.Example.ORG}]
                process:
                  command: [run, 8080, "{port}", yes, 1.10]
                  environment: {A: 1, B: true, C: , D: "", E: "x y"}
                """)
        let service = try #require(try Sample.parse(text).configuration.services.first)
        guard case .process(let template) = service.instances else { return }
        #expect(template.command == ["run", "8080", "{port}", "yes", "1.10"])
        #expect(template.environment == ["A": "1", "B": "true", "C": "", "D": "", "E": "x y"])
        #expect(service.routes == [Route(host: "www.example.org")])
    }

    @Test(arguments: [
        ("200ms", TimeSpan.milliseconds(200)), ("5s", .seconds(5)), ("2m", .minutes(2)), ("1h", .hours(1)),
        ("0s", .zero), ("7us", .microseconds(7)),
    ])
    func durations(_ text: String, _ expected: TimeSpan) {
        #expect(TimeSpan(parsing: text) == expected)
        #expect(TimeSpan(parsing: expected.text) == expected)
    }

    @Test(arguments: ["", "5", "s", "5 s", "-5s", "1.5s", "5S", "5sec", "99999999999999999h", "٥s"])
    func whatIsNoDuration(_ text: String) { #expect(TimeSpan(parsing: text) == nil) }

    @Test(
        arguments: [
            ("10MiB", 10 << 20), ("1GB", 1_000_000_000), ("512KiB", 512 << 10), ("3B", 3), ("2kB", 2_000),
            ("1TiB", 1 << 40),
        ] as [(String, Int64)])
    func sizes(_ text: String, _ expected: Int64) {
        #expect(ByteCount(parsing: text)?.bytes == expected)
        #expect(ByteCount(parsing: ByteCount(bytes: expected).text)?.bytes == expected)
    }

    @Test(arguments: ["", "10", "10mb", "10 MiB", "-1B", "1.5GiB", "99999999999TiB"])
    func whatIsNoSize(_ text: String) { #expect(ByteCount(parsing: text) == nil) }

    @Test(arguments: [
        "::1", "::", "2001:db8::1", "1:2:3:4:5:6:7:8", "::ffff:10.0.0.1", "1::", "fe80::1:2", "0.0.0.0",
        "255.255.255.255",
    ])
    func addresses(_ text: String) { #expect(AddressText.isAddress(text)) }

    @Test(arguments: [
        "", ":", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", ":1::", "12345::", "g::1", "10.0.0",
        "10.0.0.256",
        "10.0.0.01", "localhost", "1.2.3.4.5", "::1%eth0", "::10.0.0.256", "10.0.0.1:80",
    ])
    func whatIsNoAddress(_ text: String) { #expect(!AddressText.isAddress(text)) }
}
