import CloudModel
import CloudPorts
import Synchronization
import Testing

/// Guests that write to memory faster than it is copied.
extension LabTests {
    /// What a migration says of itself while it is under way.
    private final class Reports: Sendable {
        private let all = Mutex<[MigrationProgress]>([])

        func add(_ report: MigrationProgress) { all.withLock { $0.append(report) } }

        /// The most rounds, and the most memory that was written to within a second.
        var most: (rounds: Int, dirty: Int64) {
            all.withLock { all in
                (all.map(\.rounds).max() ?? 0, all.compactMap(\.dirtyBytesPerSecond).max() ?? 0)
            }
        }
    }

    @Test func postCopyMovesWhatNeverArrivesOtherwise() async throws {
        let (first, _) = try await Lab.connected(1)
        let (second, secondLog) = try await Lab.connected(2)
        let guest = Lab.guest("writes", index: 8)
        let address = "10.77.0.108"
        try await first.define(guest)
        try await first.start(guest.name, paused: false)
        try #require(await Self.serves(address))
        #expect(GuestClient.get(address, "/cgi-bin/dirty?16", timeoutSeconds: 20) == "started")
        let client = GuestClient(address)
        try #require(await eventually { client.answered > 5 })

        // It goes round and round, and does not end by itself.
        let bandwidth = 8
        var settings = MigrationSettings(
            bandwidthMebibytesPerSecond: bandwidth, autoConverge: false, timeout: .seconds(16), whenLate: .abort)
        let reports = Reports()
        let code = await refusal {
            _ = try await first.migrate(guest.name, to: Lab.server(2), settings: settings) { reports.add($0) }
        }
        print("a guest that writes: \(reports.most) within the time of a migration")
        #expect(code == .aborted)
        #expect(reports.most.rounds >= 2)
        // Pages count once a round, however often they are written to: it is about as much as is copied meanwhile.
        #expect(reports.most.dirty > Int64(bandwidth) << 19)

        // The hypervisor itself says that it went another way; it is no word of ours.
        settings.whenLate = .postCopy
        settings.timeout = .seconds(2)
        let result = try await first.migrate(guest.name, to: Lab.server(2), settings: settings) { _ in }
        print("post-copy: \(result)")
        #expect(result.isPostCopy)
        #expect(try await Self.state(guest.name, first) == nil)
        #expect(try await Self.state(guest.name, second) == .running)
        #expect(await eventually { secondLog.changes(of: guest.name).contains(.arrived) })
        // It is the same that has moved: it counts on, and has not started again.
        let answered = client.answered
        #expect(await eventually(within: Self.bootLimit) { client.answered > answered + 5 })
        let figures = client.takeFigures()
        print("post-copy: longest gap \(figures.longestGap), \(figures.answered) answers")
        #expect(!figures.steppedBack)
        #expect(GuestClient.get(address, "/boots", timeoutSeconds: 5) == "1")
        await client.stop()
        try await second.destroy(guest.name)
        try await second.undefine(guest.name, removingDisks: true)
        await first.close()
        await second.close()
    }
}
