import Foundation
import Testing

/// The platform's own program, serving over the lab's hosts a cloud with one virtual server: instance `web-1` of the
/// service `web`.
struct ServedCloud {
    static let program = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
        .appending(path: "cloudwright").path
    static let isBuilt = FileManager.default.isExecutableFile(atPath: program)

    private struct Announcement: Decodable {
        var gateway: [String]
        var administration: String
    }

    /// For whatever a test leaves beside the platform's own files; it is gone with the platform.
    let folder: URL
    let administration: String
    /// Address and port.
    let gateway: String

    var tokenFile: String { folder.appending(path: "token").path }
    var token: String {
        Self.text(folder.appending(path: "token")).trimmingCharacters(in: .whitespacesAndNewlines)
    }
    /// What the platform has said.
    var log: String { Self.text(folder.appending(path: "log")) }

    /// Has the body run while the virtual server serves.
    /// - Parameters:
    ///   - hosts: so many of the lab's, the first ones, named `host-1` and so on.
    ///   - address: the virtual server's; the one after it is free as well.
    ///   - options: more of the guest's command line.
    ///   - userData: what the guest reads from its seed; nil for none.
    static func run(
        hosts: Int, address: String, options: String = "", userData: String? = nil,
        _ body: (ServedCloud) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "served-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try configuration(folder.path, hosts: hosts, address: address, options: options, userData: userData).write(
            to: folder.appending(path: "cloud.yaml"), atomically: true, encoding: .utf8)
        let log = folder.appending(path: "log")
        let platform = try process(
            program,
            [
                "serve", "-f", "\(folder.path)/cloud.yaml", "--administrator-token-file", "\(folder.path)/token",
                "--announce", "\(folder.path)/addresses",
            ], output: log)
        try platform.run()
        defer {
            platform.terminate()
            platform.waitUntilExit()
        }
        try #require(await LabTests.serves(address), "\(text(log))")
        let announced = try JSONDecoder().decode(
            Announcement.self, from: Data(contentsOf: folder.appending(path: "addresses")))
        let cloud = ServedCloud(
            folder: folder, administration: announced.administration, gateway: try #require(announced.gateway.first))
        try await body(cloud)
    }

    /// A process whose output and errors go to a file.
    static func process(_ program: String, _ arguments: [String], output: URL) throws -> Process {
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

    static func text(_ file: URL) -> String { (try? String(contentsOf: file, encoding: .utf8)) ?? "" }

    private static func configuration(
        _ folder: String, hosts: Int, address: String, options: String, userData: String?
    ) -> String {
        let servers = (1...hosts).map { number in
            """
            ---
            apiVersion: cloudwright/v1
            kind: PhysicalServer
            metadata: {name: host-\(number)}
            spec: {hypervisor: "\(Lab.address(number))", capacity: {cpuMillicores: 2000, memory: 512MiB}}

            """
        }.joined()
        let last = address.split(separator: ".").last.flatMap { Int($0) } ?? 0
        let next = address.split(separator: ".").dropLast().joined(separator: ".") + ".\(last + 1)"
        let seed = userData.map { "\n    userData: \"\($0)\"" } ?? ""
        return """
            apiVersion: cloudwright/v1
            kind: Cloud
            metadata: {name: served}
            spec:
              dataDirectory: \(folder)/data
              gateway: {listeners: ["127.0.0.1:0"]}
              administration: {address: "127.0.0.1:0"}
            \(servers)---
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
                commandLine: "console=ttyS0 \(options) cw.id={instance} cw.address={address}/{prefix} cw.port={port}"
                bridge: br0
                addresses: \(address)-\(next)
                port: 80\(seed)
              constraints: {minimumInstances: 1, maximumInstances: 1}
              healthCheck: {http: {path: /id}, interval: 2s, timeout: 2s, fall: 5}
              restart: {startTimeout: 90s}
            """
    }
}
