import CloudModel
import LocalProcesses
import Testing

extension DriverTests {
    @Suite struct Processor {
        private static let burning = "while :; do :; done"

        @Test("the whole tree counts: children, those in sessions of their own, and those that have ended")
        func ofTheTree() async throws {
            let fixture = try Fixture()
            try await fixture.start("child-1", 1, Fixture.shell("sh -c '\(Self.burning)' & wait"))
            try await fixture.start("session-1", 1, Fixture.shell("setsid sh -c '\(Self.burning)' & wait"))
            try await fixture.start(
                "ended-1", 1,
                Fixture.shell("i=0; sh -c 'i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done'; sleep 1000"))
            try await fixture.start("idle-1", 1, Fixture.shell("sleep 1000"))
            let all: Set<InstanceID> = ["child-1", "session-1", "ended-1", "idle-1"]
            try await eventually("each that burns has used 200 ms", within: .seconds(60)) {
                let times = await fixture.driver.processorTimes(of: all)
                return ["child-1", "session-1", "ended-1"].allSatisfy {
                    times[InstanceID($0), default: .zero] >= .milliseconds(200)
                }
            }
            let times = await fixture.driver.processorTimes(of: all)
            #expect(try #require(times["idle-1"]) < .milliseconds(200))
            #expect(await fixture.driver.processorTimes(of: ["idle-1", "unknown-1"]).keys.sorted() == ["idle-1"])
            await fixture.tearDown()
        }
    }
}
