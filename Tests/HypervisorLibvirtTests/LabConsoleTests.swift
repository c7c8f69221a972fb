import CloudModel
import CloudPorts
import Foundation
import Synchronization
import Testing

/// Serial consoles and cloud-init seeds of real guests. Skipped where the lab cannot come up, with the reason.
@Suite(
    .serialized, .lab(hosts: 2), .timeLimit(.minutes(4)),
    .enabled(if: Lab.obstacle == nil, Comment(rawValue: Lab.obstacle ?? "")))
struct LabConsoleTests {
    /// All that a console has said, and that it has ended.
    final class Transcript: Sendable {
        private let state = Mutex((text: "", isOver: false))

        init(_ line: any ConsoleLine) {
            Task {
                while let bytes = await line.receive() {
                    state.withLock { $0.text += String(decoding: bytes, as: UTF8.self) }
                }
                state.withLock { $0.isOver = true }
            }
        }

        var text: String { state.withLock { $0.text } }
        var isOver: Bool { state.withLock { $0.isOver } }

        func says(_ text: String) async -> Bool {
            await eventually(within: LabTests.bootLimit, every: .milliseconds(50)) { self.text.contains(text) }
        }
    }

    @Test func aShellAnswersOnTheSerialConsole() async throws {
        let (hypervisor, _) = try await Lab.connected(1)
        var guest = Lab.guest("console", index: 11)
        guest.consoleLog = "/var/log/libvirt/console.log"
        try await hypervisor.define(guest)
        #expect(
            await refusal { _ = try await hypervisor.openConsole(guest.name, takingOver: false) } == .invalidState)
        try await hypervisor.start(guest.name, paused: false)
        let line = try await hypervisor.openConsole(guest.name, takingOver: false)
        let transcript = Transcript(line)
        #expect(await transcript.says("READY console"), "\(transcript.text)")
        try await line.send(Array("echo $((6 * 7))-answered\n".utf8))
        #expect(await transcript.says("42-answered"), "\(transcript.text)")

        // One at a time; who takes it over ends the other's.
        let refused = await refusal { _ = try await hypervisor.openConsole(guest.name, takingOver: false) }
        #expect(refused == .conflict)
        let second = try await hypervisor.openConsole(guest.name, takingOver: true)
        let other = Transcript(second)
        #expect(await eventually(within: LabTests.bootLimit) { transcript.isOver })
        try await second.send(Array("echo $((8 * 8))-again\n".utf8))
        #expect(await other.says("64-again"), "\(other.text)")

        // Nobody reads for a while: the guest is held up, nothing is lost, and no more is kept than is allowed.
        let third = try await hypervisor.openConsole(guest.name, takingOver: true)
        try await third.send(Array("i=0; while [ $i -lt 4000 ]; do i=$((i+1)); echo line-number-$i-end; done\n".utf8))
        #expect(await eventually { GuestClient.get("10.77.0.111", "/id", timeoutSeconds: 1) == "console" })
        let late = Transcript(third)
        #expect(await late.says("line-number-4000-end"))
        #expect((1...4_000).allSatisfy { late.text.contains("line-number-\($0)-end\r\n") })

        // What was said is in the log as well, whoever listened.
        let log = try String(contentsOfFile: "\(Lab.state)/hosts/h1/log/console.log", encoding: .utf8)
        #expect(log.contains("READY console") && log.contains("64-again"))

        try await hypervisor.destroy(guest.name)
        #expect(await eventually(within: LabTests.bootLimit) { late.isOver })
        #expect(await refusal { try await third.send([10]) } == .invalidState)
        try await hypervisor.undefine(guest.name, removingDisks: true)
        await hypervisor.close()
    }

    @Test func aScreenSpeaksItsProtocol() async throws {
        let (hypervisor, _) = try await Lab.connected(1)
        var guest = Lab.guest("screen", index: 15)
        try await hypervisor.define(guest)
        try await hypervisor.start(guest.name, paused: false)
        #expect(await refusal { _ = try await hypervisor.openDisplay(guest.name) } == .unsupported)
        try await hypervisor.destroy(guest.name)
        try await hypervisor.undefine(guest.name, removingDisks: true)
        guest.display = .vnc
        try await hypervisor.define(guest)
        #expect(await refusal { _ = try await hypervisor.openDisplay(guest.name) } == .invalidState)
        try await hypervisor.start(guest.name, paused: false)
        let line = try await hypervisor.openDisplay(guest.name)
        let transcript = Transcript(line)
        #expect(await transcript.says("RFB 003."), "\(transcript.text)")
        try await line.send(Array("RFB 003.008\n".utf8))
        // The kinds of authentication: one of them, none.
        #expect(await transcript.says("\u{1}\u{1}"), "\(transcript.text)")
        try await hypervisor.destroy(guest.name)
        #expect(await eventually(within: LabTests.bootLimit) { transcript.isOver })
        #expect(await refusal { for _ in 0..<100 { try await line.send([0]) } } == .invalidState)
        try await hypervisor.undefine(guest.name, removingDisks: true)
        await hypervisor.close()
    }

    @Test func aLostConnectionEndsAConsole() async throws {
        let (hypervisor, log) = try await Lab.connected(2)
        let guest = Lab.guest("lost", index: 12)
        try await hypervisor.define(guest)
        try await hypervisor.start(guest.name, paused: false)
        let transcript = Transcript(try await hypervisor.openConsole(guest.name, takingOver: false))
        let made = log.connections
        try #require(ProcessResources.cutConnections(to: "10.77.0.2") > 0)
        #expect(await eventually(within: LabTests.bootLimit) { transcript.isOver })
        #expect(await eventually(within: LabTests.bootLimit) { log.connections > made })
        let again = Transcript(try await hypervisor.openConsole(guest.name, takingOver: true))
        #expect(await again.says("READY lost"), "\(again.text)")
        try await hypervisor.destroy(guest.name)
        try await hypervisor.undefine(guest.name, removingDisks: true)
        await hypervisor.close()
    }

    @Test func aGuestReadsItsSeedAndKeepsItAcrossAMigration() async throws {
        let (hypervisor, _) = try await Lab.connected(1)
        let (other, _) = try await Lab.connected(2)
        var guest = Lab.guest("seeded", index: 13)
        let long = "#cloud-config\n# 你好\n" + String(repeating: "# a line of a longer document\n", count: 300)
        guest.seed = CloudInitSeed(
            userData: long, metaData: "instance-id: seeded\n", networkConfig: "version: 2\n")
        try await hypervisor.define(guest)
        // Another one, with other content and the same name, takes its place as long as it does not run.
        guest.seed?.metaData = "instance-id: seeded-2\n"
        try await hypervisor.define(guest)
        try await hypervisor.start(guest.name, paused: false)
        let address = "10.77.0.113"
        try #require(await LabTests.serves(address))
        #expect(GuestClient.get(address, "/seed/user-data", timeoutSeconds: 5) == long.trimmed)
        #expect(GuestClient.get(address, "/seed/meta-data", timeoutSeconds: 5) == "instance-id: seeded-2")
        #expect(GuestClient.get(address, "/seed/network-config", timeoutSeconds: 5) == "version: 2")
        let path = "\(Lab.state)/shared/lab-seeded.seed.iso"
        #expect(FileManager.default.fileExists(atPath: path))

        _ = try await hypervisor.migrate(guest.name, to: Lab.server(2), settings: MigrationSettings()) { _ in }
        try #require(await LabTests.serves(address))
        try await other.destroy(guest.name)
        try await other.undefine(guest.name, removingDisks: true)
        #expect(!FileManager.default.fileExists(atPath: path))

        // Where the hosts do not see the same files, the seed goes along.
        var local = Lab.guest("apart", index: 14)
        local.disks[0].path = "/var/lib/libvirt/images/apart.qcow2"
        local.disks[0].shared = false
        local.seed = CloudInitSeed(userData: "#cloud-config\n", metaData: "instance-id: apart\n")
        try await hypervisor.define(local)
        try await hypervisor.start(local.name, paused: false)
        try #require(await LabTests.serves("10.77.0.114"))
        _ = try await hypervisor.migrate(local.name, to: Lab.server(2), settings: MigrationSettings()) { _ in }
        try await other.destroy(local.name)
        try await other.start(local.name, paused: false)
        try #require(await LabTests.serves("10.77.0.114"))
        #expect(GuestClient.get("10.77.0.114", "/seed/meta-data", timeoutSeconds: 5) == "instance-id: apart")
        try await other.destroy(local.name)
        try await other.undefine(local.name, removingDisks: true)
        await hypervisor.close()
        await other.close()
    }
}

extension String {
    var trimmed: String { trimmingCharacters(in: .whitespacesAndNewlines) }
}
