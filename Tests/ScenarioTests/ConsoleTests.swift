import CloudModel
import ConfigurationFile
import Foundation
import Glibc
import Scenarios
import Testing

/// Debian's `chromium`, or another browser of that family.
private enum Chromium {
    static let isInstalled = ["chromium", "chromium-browser", "google-chrome"].contains { name in
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
            access("\($0)/\(name)", X_OK) == 0
        }
    }
}

extension Scenarios {
    /// The web console in a real browser: `Tests/Browser` does the work and leaves pictures in `.build/screenshots`.
    @Suite struct Console {
        private struct Surroundings: Codable {
            var administration: String
            var gateway: String
            var token: String
            var keys: [String: String]
            var screenshots: String
        }

        private static let root = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

        /// What `scripts/test-parts/fetch-axe` has fetched.
        private static let hasChecker = FileManager.default.fileExists(
            atPath: root.appendingPathComponent(".build/axe/axe.min.js").path)

        @Test(
            "no view of the console and no dialog has a serious finding of axe-core",
            .enabled(if: Chromium.isInstalled, "there is no browser; run scripts/install-prerequisites --browser"),
            .enabled(if: hasChecker, "there is no axe-core; run scripts/test-parts/fetch-axe"),
            .timeLimit(.minutes(5))
        )
        func accessible() async throws { try await look("accessibility_tests.py") }

        @Test(
            "the console: first login, S1, a failover, a bill verified, a failed login, both languages, a small screen",
            .enabled(if: Chromium.isInstalled, "there is no browser; run scripts/install-prerequisites --browser"),
            .timeLimit(.minutes(5))
        )
        func inBrowser() async throws { try await look("console_tests.py") }

        private func look(_ script: String) async throws {
            let guest = try Guest()
            defer { guest.end() }
            let hosts = FileManager.default.temporaryDirectory.appendingPathComponent("node-\(UUID().uuidString).xml")
            try Data("<node/>".utf8).write(to: hosts)
            defer { try? FileManager.default.removeItem(at: hosts) }
            let change: (inout ConfigurationDocument) -> Void = {
                Self.addToCloud(to: &$0, node: hosts.path, port: guest.port)
            }
            try await ScenarioPlatform.run(change) { context in
                let directory = context.platform.directory
                let file = directory.appendingPathComponent("surroundings.json")
                let surroundings = Surroundings(
                    administration: context.platform.announcement.administration,
                    gateway: context.platform.announcement.gateway[0], token: context.platform.administratorToken,
                    keys: context.keys, screenshots: Self.root.appendingPathComponent(".build/screenshots").path)
                try JSONEncoder().encode(surroundings).write(to: file)
                let output = directory.appendingPathComponent("browser.log")
                let status = try await Self.run(script, file, output: output)
                let text = (try? String(contentsOf: output, encoding: .utf8)) ?? ""
                #expect(status == 0 && text.hasSuffix(" passed\n"), "\(text)")
            }
        }

        private static func addToCloud(to document: inout ConfigurationDocument, node: String, port: UInt16) {
            addVirtualServers(to: &document, node: node, port: port)
            // What a service counts itself can be reported for a month that is over: its bill then rests on records.
            if let price = ExactDecimal("0.40") {
                document.configuration.pricePlans[0].prices.append(
                    Price(id: "storage", meter: .event("storage"), model: .perUnit(price)))
            }
        }

        /// Two hosts of the hypervisor that libvirt has inside itself for tests, and a service with a virtual server.
        private static func addVirtualServers(to document: inout ConfigurationDocument, node: String, port: UInt16) {
            document.configuration.physicalServers = [("host-a", "test:///default"), ("host-b", "test://\(node)")].map {
                PhysicalServer(
                    id: PhysicalServerID($0), hypervisor: $1,
                    capacity: ServerResources(cpuMillicores: 2_000, memory: .mebibytes(1_024)))
            }
            document.configuration.services.append(
                CloudService(
                    id: "desk", routes: [Route(host: ScenarioCloud.host(of: "desk"))],
                    instances: .virtualServer(
                        VirtualServerTemplate(
                            flavor: VirtualServerFlavor(cpuMillicores: 500, memory: .mebibytes(64)),
                            directBoot: DirectBoot(kernel: "/boot/vmlinuz", commandLine: "{address}"),
                            addresses: AddressRange(first: 0x7F00_0001, last: 0x7F00_0001, prefixLength: 8), port: port)
                    ),
                    constraints: WorkloadConstraints(minimumInstances: 1, maximumInstances: 1),
                    scaling: ScalingSettings(metrics: [ScalingMetric(name: "queue-length", targetPerInstance: 50)]),
                    healthCheck: HealthCheck(probe: .tcp, interval: .seconds(30), rise: 1)))
        }

        /// Where the virtual server seems to listen: the hypervisor for tests has none that do. The kernel accepts as
        /// many connections as are tried here by itself.
        private struct Guest {
            let descriptor: Int32
            let port: UInt16

            init() throws {
                descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
                var address = sockaddr_in()
                address.sin_family = sa_family_t(AF_INET)
                address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
                var size = socklen_t(MemoryLayout<sockaddr_in>.size)
                let descriptor = descriptor
                let isBound = withUnsafeMutablePointer(to: &address) {
                    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        bind(descriptor, $0, size) == 0 && listen(descriptor, 1_024) == 0
                            && getsockname(descriptor, $0, &size) == 0
                    }
                }
                try #require(isBound)
                port = UInt16(bigEndian: address.sin_port)
            }

            func end() { close(descriptor) }
        }

        private static func run(_ script: String, _ surroundings: URL, output: URL) async throws -> Int32 {
            _ = FileManager.default.createFile(atPath: output.path, contents: nil)
            let log = try FileHandle(forWritingTo: output)
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = [
                "timeout", "--kill-after=10", "240", "python3", "-B",
                root.appendingPathComponent("Tests/Browser/\(script)").path, surroundings.path,
            ]
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = log
            process.standardError = log
            return try await withCheckedThrowingContinuation { continuation in
                process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
                do { try process.run() } catch { continuation.resume(throwing: error) }
            }
        }
    }
}
