import AdministrationFixture
import CloudModel
import CloudPorts
import Foundation
import Testing

/// `packaging/host-agent` against the real API, with processes that call themselves as QEMU does.
@Suite struct HostAgentTests {
    private static let agent = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("packaging/host-agent").path

    private static func run(
        _ arguments: [String], environment: [String: String] = [:], errors: Any? = FileHandle.nullDevice
    ) throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["bash"] + arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = errors
        try process.run()
        return process
    }

    /// Stands in for an emulator: opens a pipe that nobody writes to.
    private static func guest(_ name: String, _ pipe: URL) throws -> Process {
        let script = "exec -a qemu-of-a-test bash -c 'read -r <\"$2\"' -name guest=\(name),x=on \"$0\""
        return try run(["-c", script, pipe.path])
    }

    @Test("when the lease has run out what the platform's cloud has is killed, whatever name was configured here")
    func theNameIsThePlatforms() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("host-agent-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let pipe = folder.appendingPathComponent("pipe")
        #expect(mkfifo(pipe.path, 0o600) == 0)
        let mine = try Self.guest("leased-web-1-1", pipe)
        let another = try Self.guest("lease-web-1-1", pipe)
        var agent: Process?
        // Signals that the test's process ignores are ignored by what it starts, SIGTERM among them; and an agent that
        // went on would kill the guests of the next run.
        defer { for process in [mine, another, agent] { process.map { _ = kill($0.processIdentifier, SIGKILL) } } }
        let (state, token) = (folder.appendingPathComponent("state"), folder.appendingPathComponent("token"))
        try await LiveServer.run { live in
            await live.cloud.setHosts(
                [
                    PhysicalServerReport(
                        server: PhysicalServer(
                            id: "host-1", hypervisor: "test:///default",
                            capacity: ServerResources(cpuMillicores: 1_000, memory: .mebibytes(512))),
                        phase: "up", used: .zero, virtualServers: 1, version: nil)
                ], [])
            try Data((live.tokens[.operator] ?? "").utf8).write(to: token)
            agent = try Self.run(
                [
                    Self.agent, "--server", live.address, "--host", "host-1", "--cloud", "mistyped", "--token-file",
                    token.path,
                ], environment: ["CLOUDWRIGHT_LEASE_STATE": state.path])
            let isTold = await eventually {
                (try? String(contentsOf: state, encoding: .utf8))?.hasSuffix(" leased\n") ?? false
            }
            #expect(isTold)
            #expect(mine.isRunning)
        }
        // The platform does not answer any more.
        #expect(await eventually(within: .seconds(60)) { !mine.isRunning })
        #expect(another.isRunning)
    }
}
