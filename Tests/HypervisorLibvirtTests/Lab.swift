import CloudModel
import CloudPorts
import Foundation
import HypervisorLibvirt
import Logging
import Testing

/// The lab of `scripts/lab`: emulated physical servers with a real libvirtd and real QEMU guests.
enum Lab {
    static let state = "/var/lib/cloudwright-lab"
    static let script = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../scripts/lab").standardizedFileURL.path

    /// Why it cannot come up here; nil where it can.
    static let obstacle: String? = {
        let check = run([script, "check"])
        return check.status == 0 ? nil : "no lab on this machine: \(check.output)"
    }()

    @discardableResult
    static func lab(_ arguments: String...) throws -> String {
        let result = run([script] + arguments)
        guard result.status == 0 else { throw LabFailure(description: "\(arguments): \(result.output)") }
        return result.output
    }

    /// What an operator types, beside the platform.
    @discardableResult
    static func virsh(_ number: Int, _ arguments: String...) throws -> String {
        let result = run(["virsh", "-q", "-c", address(number)] + arguments)
        guard result.status == 0 else { throw LabFailure(description: "virsh \(arguments): \(result.output)") }
        return result.output
    }

    static func address(_ number: Int) -> String { "qemu+tcp://10.77.0.\(number)/system" }

    static func server(_ number: Int) -> PhysicalServer {
        PhysicalServer(
            id: PhysicalServerID("h\(number)"), hypervisor: address(number),
            capacity: ServerResources(cpuMillicores: 2_000, memory: .mebibytes(1_024)))
    }

    static func connected(
        _ number: Int, firstRetry: Duration = .milliseconds(100)
    ) async throws -> (any Hypervisor, EventLog) {
        let provider = LibvirtProvider(logger: Logger(label: "test"), firstRetry: firstRetry)
        let hypervisor = provider.open(server(number))
        let log = EventLog(hypervisor)
        try #require(await eventually { log.connections > 0 })
        return (hypervisor, log)
    }

    /// The lab's own guest at 10.77.0.(100 + index), with an overlay on the storage that all hosts see.
    static func guest(_ name: String, index: Int) -> VirtualServerDefinition {
        VirtualServerDefinition(
            name: VirtualServerID(name), uuid: TestDriverTests.uuid(name),
            identity: VirtualServerIdentity(
                cloud: "lab", service: "web", instance: InstanceID(name), incarnation: 1),
            flavor: VirtualServerFlavor(
                virtualCPUs: 1, memory: .mebibytes(96), maximumVirtualCPUs: 2, maximumMemory: .mebibytes(128)),
            disks: [
                VirtualDisk(
                    path: "\(state)/shared/\(name).qcow2", image: "\(state)/shared/empty.raw", imageFormat: .raw)
            ],
            networks: [NetworkAttachment(bridge: "br0", hardwareAddress: "52:54:00:77:00:\(10 + index)")],
            directBoot: DirectBoot(
                kernel: "\(state)/guest/vmlinuz", initialRamdisk: "\(state)/guest/initrd.gz",
                commandLine: "console=ttyS0 quiet panic=-1 cw.id=\(name) cw.address=10.77.0.\(100 + index)/24"),
            consoleLog: "/var/log/libvirt/\(name).console")
    }

    /// A client's certificate that nobody vouches for, in libvirt's `pkipath`.
    static func selfSigned(in folder: URL) throws {
        let result = run([
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
            "1", "-subj", "/CN=platform", "-keyout", folder.appending(path: "clientkey.pem").path, "-out",
            folder.appending(path: "clientcert.pem").path,
        ])
        guard result.status == 0 else { throw LabFailure(description: result.output) }
    }

    private static func run(_ command: [String]) -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = command
        // A file, not a pipe: what the lab starts may live longer than the command.
        let path = FileManager.default.temporaryDirectory.appending(path: "lab-\(UUID().uuidString)")
        guard FileManager.default.createFile(atPath: path.path, contents: nil) else { return (127, "no file") }
        defer { try? FileManager.default.removeItem(at: path) }
        guard let output = try? FileHandle(forWritingTo: path) else { return (127, "no file for the output") }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = output
        do { try process.run() } catch { return (127, "\(command[0]): \(error)") }
        process.waitUntilExit()
        try? output.close()
        let text = (try? String(contentsOf: path, encoding: .utf8)) ?? ""
        return (process.terminationStatus, text.trimmingCharacters(in: .whitespacesAndNewlines))
    }
}

struct LabFailure: Error, CustomStringConvertible {
    var description: String
}

/// Brings the lab up for a suite and takes it down after it, however the suite ends.
struct LabTrait: SuiteTrait, TestScoping {
    var hosts: Int
    var isRecursive: Bool { false }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        try Lab.lab("up", String(hosts))
        let outcome: Result<Void, any Error>
        do {
            try await function()
            outcome = .success(())
        } catch { outcome = .failure(error) }
        try Lab.lab("down")
        try outcome.get()
    }
}

extension Trait where Self == LabTrait {
    static func lab(hosts: Int) -> LabTrait { LabTrait(hosts: hosts) }
}
