import CloudModel
import CloudPorts
import Foundation
import HypervisorLibvirt
import Logging
import Testing

extension LabTests {
    /// As `scripts/lab secure` prints them: one over TLS with certificates on both sides, one over SSH with a key.
    @Test(arguments: ["qemu+tls://", "qemu+ssh://"])
    func aGuestLivesOverASecureAddress(scheme: String) async throws {
        let addresses = try Lab.lab("secure", "1").split(whereSeparator: \.isNewline).map(String.init)
        var server = Lab.server(1)
        server.hypervisor = try #require(addresses.first { $0.hasPrefix(scheme) })
        let hypervisor = LibvirtProvider(logger: Logger(label: "test")).open(server)
        let log = EventLog(hypervisor)
        try #require(await eventually(within: .seconds(20)) { log.connections > 0 })

        let guest = Lab.guest(scheme.contains("tls") ? "overtls" : "overssh", index: scheme.contains("tls") ? 7 : 8)
        let address = "10.77.0.\(scheme.contains("tls") ? 107 : 108)"
        try await hypervisor.define(guest)
        try await hypervisor.start(guest.name, paused: false)
        try #require(await Self.serves(address))
        #expect(try await Self.state(guest.name, hypervisor) == .running)
        // Events come over the same connection.
        try Lab.virsh(1, "suspend", guest.name.rawValue)
        #expect(await eventually { log.changes(of: guest.name).contains(.suspended) })
        try await hypervisor.resume(guest.name)
        try await hypervisor.shutDown(guest.name)
        #expect(await eventually(within: Self.bootLimit) { log.changes(of: guest.name).last == .shutOff })
        try await hypervisor.undefine(guest.name, removingDisks: true)
        #expect(try await hypervisor.list().allSatisfy { $0.name != guest.name })
        await hypervisor.close()
    }

    @Test func aCertificateOfAnotherAuthorityIsNotTaken() async throws {
        let addresses = try Lab.lab("secure", "1").split(whereSeparator: \.isNewline).map(String.init)
        let address = try #require(addresses.first { $0.hasPrefix("qemu+tls://") })
        let folder = FileManager.default.temporaryDirectory.appending(path: "pki-\(UUID().uuidString)")
        let client = URL(filePath: address.split(separator: "=").last.map(String.init) ?? "")
        try FileManager.default.copyItem(at: client, to: folder)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Lab.selfSigned(in: folder)
        var server = Lab.server(1)
        server.hypervisor = "qemu+tls://10.77.0.1/system?pkipath=\(folder.path)"
        let stranger = LibvirtProvider(logger: Logger(label: "test")).open(server)
        let log = EventLog(stranger)
        server.hypervisor = address
        let ours = LibvirtProvider(logger: Logger(label: "test")).open(server)
        let ourLog = EventLog(ours)
        try #require(await eventually(within: .seconds(20)) { ourLog.connections > 0 })
        _ = try await ours.list()
        #expect(log.connections == 0)
        await stranger.close()
        await ours.close()
    }
}
