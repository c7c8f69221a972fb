import CloudModel
import CloudPorts
import Foundation
import HypervisorLibvirt
import Logging
import Testing

/// Control planes take turns: what a later one has acted on, an earlier one must leave alone.
@Suite(.serialized, .timeLimit(.minutes(1)))
struct EpochTests {
    /// The turn of one control plane, which has not noticed that it is over.
    private struct Turn: ActionFence {
        var epoch: Int64?

        func perform<Value, Failure: Error>(
            _ action: (Int64?) throws(Failure) -> Value
        ) throws(Failure) -> Value? { try action(epoch) }
    }

    /// All of them see the same virtual servers: the test driver has one host in a process.
    private static func platform(_ epoch: Int64?) async throws -> any Hypervisor {
        let hypervisor = LibvirtProvider(
            logger: Logger(label: "test"), firstRetry: .milliseconds(1), fence: Turn(epoch: epoch)
        ).open(
            PhysicalServer(
                id: "host-a", hypervisor: TestDriverTests.address,
                capacity: ServerResources(cpuMillicores: 2_000, memory: .mebibytes(1_024))))
        let log = EventLog(hypervisor)
        try #require(await eventually { log.connections > 0 })
        return hypervisor
    }

    private static let metadata = DomainMetadata(
        identity: VirtualServerIdentity(cloud: "a & 'b'", service: "web", instance: "web-1", incarnation: 3),
        overlays: ["/var/<disk>", "/srv/seed.iso"], hasLocalDisks: true, epoch: 7)

    @Test func theEpochStandsInTheMetadata() throws {
        let text = Self.metadata.text
        #expect(text.contains(" epoch='7'"))
        #expect(DomainMetadata(text) == Self.metadata)
        // What a platform without turns has written, or an earlier version, has none.
        var without = Self.metadata
        without.epoch = nil
        #expect(!without.text.contains("epoch"))
        #expect(DomainMetadata(without.text) == without)
    }

    @Test func anEarlierPlatformIsRefused() {
        func refusal(_ known: Int64?, _ own: Int64?) -> HypervisorError.Code? {
            var metadata = Self.metadata
            metadata.epoch = known
            return metadata.refusal(of: "web-1-3", under: own)?.code
        }
        #expect(refusal(7, 6) == .superseded)
        #expect(refusal(7, 7) == nil && refusal(7, 8) == nil)
        #expect(refusal(nil, 1) == nil, "nobody has taken turns before")
        #expect(refusal(7, nil) == nil, "nobody takes turns any more")
        let message = Self.metadata.refusal(of: "web-1-3", under: 6)?.message ?? ""
        #expect(message.contains("web-1-3") && message.contains("epoch is 7, ours is 6"))
        #expect(message.contains("SET epoch = 7"), "how to mend it")
    }

    /// Everything that changes a virtual server.
    private static func refusals(
        _ hypervisor: any Hypervisor, _ definition: VirtualServerDefinition, isRunning: Bool
    ) async -> [HypervisorError.Code?] {
        let name = definition.name
        var found = [await refusal { try await hypervisor.define(definition) }]
        if isRunning {
            found += [
                await refusal { try await hypervisor.suspend(name) },
                await refusal { try await hypervisor.shutDown(name) },
                await refusal { try await hypervisor.save(name) },
                await refusal { try await hypervisor.destroy(name) },
                await refusal { try await hypervisor.resize(name, to: ResizeRequest(memory: .mebibytes(32))) },
            ]
        } else {
            found += [
                await refusal { try await hypervisor.start(name, paused: false) },
                await refusal { try await hypervisor.undefine(name, removingDisks: true) },
            ]
        }
        return found
    }

    @Test func whatALaterPlatformHasActedOnIsLeftAlone() async throws {
        let definition = TestDriverTests.definition("turns")
        let (first, second) = (try await Self.platform(4), try await Self.platform(5))
        try await first.define(definition)
        try await first.start(definition.name, paused: false)
        func state() async throws -> VirtualServerState? {
            try await first.list().first { $0.name == definition.name }?.state
        }
        // Whoever defined it may act as long as nobody else has.
        try await first.suspend(definition.name)
        try await first.resume(definition.name)
        try await second.suspend(definition.name)
        try await second.resume(definition.name)
        let running = await Self.refusals(first, definition, isRunning: true)
        #expect(running == Array(repeating: .superseded, count: 6))
        #expect(try await state() == .running)
        // Going on from a saved state brings the metadata of that time along; the later epoch counts.
        let third = try await Self.platform(6)
        try await second.save(definition.name)
        try await third.start(definition.name, paused: false)
        #expect(await refusal { try await second.suspend(definition.name) } == .superseded)
        try await third.destroy(definition.name)
        let stopped = await Self.refusals(second, definition, isRunning: false)
        #expect(stopped == Array(repeating: .superseded, count: 3))
        #expect(try await state() == .defined)
        // A platform that takes no turns, and the one whose turn it is, may do anything.
        let alone = try await Self.platform(nil)
        try await alone.start(definition.name, paused: false)
        try await alone.destroy(definition.name)
        try await third.undefine(definition.name, removingDisks: true)
        #expect(try await state() == nil)
        for hypervisor in [first, second, third, alone] { await hypervisor.close() }
    }
}
