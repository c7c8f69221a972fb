import Foundation
import Glibc
import Testing

/// Debian's `chromium`, or another browser of that family.
private enum InstalledBrowser {
    static let isThere = ["chromium", "chromium-browser", "google-chrome"].contains { name in
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
            access("\($0)/\(name)", X_OK) == 0
        }
    }
}

/// The web console in a real browser over real hypervisors: `Tests/Browser/lab_tests.py` does the work, and leaves its
/// pictures in `.build/screenshots`.
@Suite(
    .serialized, .lab(hosts: 2), .timeLimit(.minutes(6)),
    .enabled(if: Lab.obstacle == nil, Comment(rawValue: Lab.obstacle ?? "")),
    .enabled(if: InstalledBrowser.isThere, "there is no browser; run scripts/install-prerequisites --browser"))
struct LabBrowserTests {
    private static let program = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
        .appending(path: "cloudwright").path
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")
        .standardizedFileURL

    private struct Announcement: Decodable {
        var gateway: [String]
        var administration: String
    }

    private struct Surroundings: Encodable {
        var administration: String
        var gateway: String
        var token: String
        var keys: [String: String] = [:]
        var screenshots: String
    }

    @Test(
        "a guest's console in the page, and a host drained while the page watches",
        .enabled(if: FileManager.default.isExecutableFile(atPath: Self.program), "the program is not built"))
    func watched() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "watched-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Self.configuration(folder.path).write(
            to: folder.appending(path: "cloud.yaml"), atomically: true, encoding: .utf8)
        let platform = try Self.process(
            Self.program,
            [
                "serve", "-f", "\(folder.path)/cloud.yaml", "--administrator-token-file", "\(folder.path)/token",
                "--announce", "\(folder.path)/addresses",
            ], folder.appending(path: "log"))
        try platform.run()
        defer {
            platform.terminate()
            platform.waitUntilExit()
        }
        try #require(await LabTests.serves("10.77.0.180"), "\(Self.text(folder.appending(path: "log")))")
        let announced = try JSONDecoder().decode(
            Announcement.self, from: Data(contentsOf: folder.appending(path: "addresses")))
        let surroundings = Surroundings(
            administration: announced.administration, gateway: announced.gateway[0],
            token: Self.text(folder.appending(path: "token")).trimmingCharacters(in: .whitespacesAndNewlines),
            screenshots: Self.root.appending(path: ".build/screenshots").path)
        let file = folder.appending(path: "surroundings.json")
        try JSONEncoder().encode(surroundings).write(to: file)
        let log = folder.appending(path: "browser.log")
        let browser = try Self.process(
            "/usr/bin/env",
            [
                "timeout", "--kill-after=10", "280", "python3", "-B",
                Self.root.appending(path: "Tests/Browser/lab_tests.py").path, file.path,
            ], log)
        let status: Int32 = try await withCheckedThrowingContinuation { continuation in
            browser.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do { try browser.run() } catch { continuation.resume(throwing: error) }
        }
        let said = Self.text(log)
        #expect(status == 0 && said.hasSuffix(" passed\n"), "\(said)")
    }

    private static func configuration(_ folder: String) -> String {
        let hosts = (1...2).map { number in
            """
            ---
            apiVersion: cloudwright/v1
            kind: PhysicalServer
            metadata: {name: host-\(number)}
            spec: {hypervisor: "\(Lab.address(number))", capacity: {cpuMillicores: 2000, memory: 512MiB}}

            """
        }.joined()
        return """
            apiVersion: cloudwright/v1
            kind: Cloud
            metadata: {name: watched}
            spec:
              dataDirectory: \(folder)/data
              gateway: {listeners: ["127.0.0.1:0"]}
              administration: {address: "127.0.0.1:0"}
            \(hosts)---
            apiVersion: cloudwright/v1
            kind: CloudService
            metadata: {name: web}
            spec:
              routes: [{path: /}]
              access: anonymous
              virtualServer:
                memory: 128MiB
                kernel: \(Lab.state)/guest/vmlinuz
                initialRamdisk: \(Lab.state)/guest/initrd.gz
                commandLine: "console=ttyS0 cw.id={instance} cw.address={address}/{prefix} cw.port={port}"
                bridge: br0
                addresses: 10.77.0.180-10.77.0.181
                port: 80
              constraints: {minimumInstances: 1, maximumInstances: 1}
              healthCheck: {http: {path: /id}, interval: 2s, timeout: 2s, fall: 5}
              restart: {startTimeout: 90s}
            """
    }

    private static func text(_ file: URL) -> String { (try? String(contentsOf: file, encoding: .utf8)) ?? "" }

    private static func process(_ program: String, _ arguments: [String], _ output: URL) throws -> Process {
        try Data().write(to: output)
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        let handle = try FileHandle(forWritingTo: output)
        process.standardOutput = handle
        process.standardError = handle
        return process
    }
}
