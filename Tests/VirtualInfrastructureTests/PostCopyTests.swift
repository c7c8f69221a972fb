import CloudModel
import Testing
import VirtualInfrastructure

@Suite struct PostCopyTests {
    @Test("the timeline of a migration says whether it ended as post-copy", arguments: [true, false])
    func timeline(isPostCopy: Bool) throws {
        var world = EmulatedHosts([emulatedHost("a"), emulatedHost("b")])
        world.start("web-1", smallServer)
        world.settle()
        world.tell(.migrate("web-1", to: nil, MigrationSettings(), operation: "op-1", actor: "ann"))
        world.letters = []
        world.effects = []
        let result = MigrationResult(
            transferred: .mebibytes(90), totalTime: .seconds(8), downtime: .milliseconds(9), rounds: 3,
            isPostCopy: isPostCopy)
        world.tell(.migrationEnded("web-1", .succeeded(result)))
        let records = world.effects.compactMap { if case .record(let record) = $0 { record } else { nil } }
        let suspended = try #require(records.first { $0.kind == "relocation.suspended" })
        #expect(suspended.step?.number == "3")
        #expect(suspended.summary.contains("post-copy") == isPostCopy)
        #expect(suspended.details["postCopy"] == String(isPostCopy))
    }
}
