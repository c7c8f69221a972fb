import CloudModel
import Foundation
import Testing

/// The platform's own program over a real hypervisor: a guest that reads the seed of the configuration, and whose
/// serial console is used through the administration API by the command line.
@Suite(
    .serialized, .lab(hosts: 1), .timeLimit(.minutes(4)),
    .enabled(if: Lab.obstacle == nil, Comment(rawValue: Lab.obstacle ?? "")))
struct ServedConsoleTests {
    private static let program = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
        .appending(path: "cloudwright").path

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: Self.program), "the program is not built"))
    func aConsoleThroughThePlatform() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "console-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Self.configuration(folder.path).write(
            to: folder.appending(path: "cloud.yaml"), atomically: true, encoding: .utf8)
        let log = folder.appending(path: "log")
        let platform = try Self.begin(
            [
                "serve", "-f", "\(folder.path)/cloud.yaml", "--administrator-token-file", "\(folder.path)/token",
                "--announce", "\(folder.path)/addresses",
            ], log)
        defer {
            platform.terminate()
            platform.waitUntilExit()
        }
        func text() -> String { (try? String(contentsOf: log, encoding: .utf8)) ?? "" }
        try #require(await LabTests.serves("10.77.0.170"), "\(text())")
        #expect(
            GuestClient.get("10.77.0.170", "/seed/user-data", timeoutSeconds: 5)
                == "#cloud-config\nhostname: web-1\n# at 10.77.0.170/24")
        #expect(
            GuestClient.get("10.77.0.170", "/seed/meta-data", timeoutSeconds: 5)
                == "instance-id: web-1\nlocal-hostname: web-1")

        let addresses = try String(contentsOfFile: "\(folder.path)/addresses", encoding: .utf8)
        let port = try #require(addresses.firstMatch(of: /administration[^0-9]*127\.0\.0\.1:(\d+)/)?.1, "\(addresses)")
        let general = ["--server", "http://127.0.0.1:\(port)", "--token-file", "\(folder.path)/token"]
        let said = try Self.run(
            ["virtual-server", "console", "web-1", "--linger", "5"] + general,
            input: "echo $((40 + 2))-through-the-platform\n")
        #expect(said.contains("42-through-the-platform"), "\(said) \(text())")
        let events = try Self.run(["event", "list", "--kind", "virtual-server.console", "-o", "json"] + general)
        #expect(events.contains("virtual-server.console-opened"))
        #expect(events.contains("virtual-server.console-closed") && events.contains("\"bytesTyped\""))
    }

    private static func configuration(_ folder: String) -> String {
        """
        apiVersion: cloudwright/v1
        kind: Cloud
        metadata: {name: consoles}
        spec:
          dataDirectory: \(folder)/data
          gateway: {listeners: ["127.0.0.1:0"]}
          administration: {address: "127.0.0.1:0"}
        ---
        apiVersion: cloudwright/v1
        kind: PhysicalServer
        metadata: {name: host-1}
        spec: {hypervisor: "\(Lab.address(1))", capacity: {cpuMillicores: 2000, memory: 512MiB}}
        ---
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
            commandLine: "console=ttyS0 quiet cw.id={instance} cw.address={address}/{prefix} cw.port={port}"
            userData: "#cloud-config\\nhostname: {instance}\\n# at {address}/{prefix}\\n"
            bridge: br0
            addresses: 10.77.0.170-10.77.0.171
            port: 80
          constraints: {minimumInstances: 1, maximumInstances: 1}
          restart: {startTimeout: 90s}
        """
    }

    private static func begin(_ arguments: [String], _ output: URL) throws -> Process {
        try Data().write(to: output)
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        let handle = try FileHandle(forWritingTo: output)
        process.standardOutput = handle
        process.standardError = handle
        try process.run()
        return process
    }

    private static func run(_ arguments: [String], input: String = "") throws -> String {
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        let (inward, outward) = (Pipe(), Pipe())
        process.standardInput = inward
        process.standardOutput = outward
        process.standardError = outward
        try process.run()
        try inward.fileHandleForWriting.write(contentsOf: Data(input.utf8))
        try inward.fileHandleForWriting.close()
        let output = try outward.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return String(decoding: output, as: UTF8.self)
    }
}
