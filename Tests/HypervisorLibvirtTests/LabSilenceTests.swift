import CloudModel
import CloudPorts
import Foundation
import HypervisorLibvirt
import Logging
import Testing

/// Hypervisors whose calls hang: nothing is refused and nothing is closed.
extension LabTests {
    /// Keepalive of so many seconds: of a minute, it notices nothing in time.
    private static func patient(_ number: Int, keepaliveSeconds: Int32) async throws -> (any Hypervisor, EventLog) {
        let provider = LibvirtProvider(
            logger: Logger(label: "test"), firstRetry: .milliseconds(100), keepaliveSeconds: keepaliveSeconds)
        let hypervisor = provider.open(Lab.server(number))
        let log = EventLog(hypervisor)
        try #require(await eventually { log.connections > 0 })
        return (hypervisor, log)
    }

    @Test func aHypervisorWhoseCallsHangIsTakenForSilent() async throws {
        let (hypervisor, log) = try await Self.patient(2, keepaliveSeconds: 60)
        let begun = ContinuousClock.now
        try Lab.lab("freeze", "2")
        // Calls of all kinds hang in it meanwhile.
        let calls = (0..<6).map { _ in Task { await refusal { _ = try await hypervisor.list() } } }
        #expect(await eventually { log.losses == 1 })
        print("a stopped libvirtd was seen after \(ContinuousClock.now - begun), without keepalive")
        #expect(ContinuousClock.now - begun < .seconds(7))
        #expect(await refusal { _ = try await hypervisor.list() } == .unreachable)
        try Lab.lab("thaw", "2")
        #expect(await eventually(within: .seconds(20)) { log.connections == 2 })
        _ = try await hypervisor.list()
        for call in calls { _ = await call.value }
        await hypervisor.close()
    }

    /// It has taken the connection, said nothing, and lost its power behind a cut cable: nothing ever ends that.
    @Test func aHostThatDiesBeforeItGreetsIsReachedAgain() async throws {
        try Lab.lab("freeze", "2")
        let hypervisor = LibvirtProvider(logger: Logger(label: "test"), firstRetry: .milliseconds(100))
            .open(Lab.server(2))
        let log = EventLog(hypervisor)
        #expect(await eventually { ProcessResources.connections(to: "10.77.0.2") == 1 })
        try Lab.lab("partition", "2")
        try Lab.lab("crash", "2")
        try Lab.lab("heal", "2")
        try Lab.lab("restart", "2")
        #expect(await eventually(within: .seconds(90), every: .milliseconds(50)) { log.connections == 1 })
        _ = try await hypervisor.list()
        await hypervisor.close()
    }

    @Test func nothingIsLeftOfHypervisorsThatWereSilent() async throws {
        let (hypervisor, log) = try await Self.patient(2, keepaliveSeconds: 1)
        func pause(_ count: Int) async throws {
            for round in 0..<count {
                let (made, lost) = (log.connections, log.losses)
                try Lab.lab("freeze", "2")
                let calls = (0..<6).map { _ in Task { await refusal { _ = try await hypervisor.list() } } }
                try #require(await eventually { log.losses > lost }, "round \(round)")
                try Lab.lab("thaw", "2")
                try #require(await eventually(within: .seconds(20)) { log.connections > made }, "round \(round)")
                for call in calls { _ = await call.value }
            }
        }
        try await pause(2)
        let before = ProcessResources.now()
        try await pause(Int(ProcessInfo.processInfo.environment["CLOUDWRIGHT_SILENCES"] ?? "") ?? 4)
        #expect(await eventually { ProcessResources.now().descriptors <= before.descriptors + 1 })
        #expect(await eventually { ProcessResources.now().threads <= before.threads + 1 })
        await hypervisor.close()
    }
}
