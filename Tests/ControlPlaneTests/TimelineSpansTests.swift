import CloudModel
import CloudPorts
import ControlPlane
import Foundation
import LogDatabaseSQLite
import Logging
import Testing

private let start = Timestamp(microseconds: 1_790_000_000_000_000)

private func event(
    _ position: Int64, _ kind: String, at second: Int64, _ mechanism: Mechanism? = nil, _ incident: String = "f/1",
    _ number: String = "1", instance: InstanceID = "web-1"
) -> PlatformEvent {
    PlatformEvent(
        position: position, at: start + .seconds(second), kind: kind, service: "web", instance: instance,
        step: mechanism.map { TimelineStep(mechanism: $0, incident: incident, number: number) }, summary: kind,
        details: ["reason": "no answer"])
}

@Suite struct TimelineSpansTests {
    @Test func aFailoverIsATraceWithItsStepsAsChildren() throws {
        var spans = TimelineSpans()
        #expect(spans.take(event(1, "instance.down", at: 0, .failoverActivePassive, "f/1", "2")).isEmpty)
        #expect(spans.take(event(2, "other", at: 1)).isEmpty)
        #expect(spans.take(event(3, "workload.redirected", at: 2, .failoverActivePassive, "f/1", "3")).isEmpty)
        let done = spans.take(event(4, "instance.recovered", at: 5, .failoverActivePassive, "f/1", "4"))
        let root = try #require(done.first)
        #expect(root.name == "failover-active-passive" && root.parent == nil)
        #expect(root.start == start && root.end == start + .seconds(5))
        let steps = done.dropFirst()
        #expect(steps.map(\.name) == ["instance.down", "workload.redirected", "instance.recovered"])
        #expect(steps.allSatisfy { $0.parent == root.id && $0.trace == root.trace })
        // Each lasts from the one before.
        #expect(steps.map(\.start) == [start, start, start + .seconds(2)])
        #expect(steps.map(\.end) == [start, start + .seconds(2), start + .seconds(5)])
        #expect(Set(done.map(\.id)).count == 4)
        #expect(spans.takeRest().isEmpty)
    }

    @Test func aRunThatHasGoneQuietIsOver() {
        var spans = TimelineSpans()
        _ = spans.take(event(1, "scaling.decided", at: 0, .automatedScalingListener, "s/1", "2"))
        #expect(spans.expired(at: start + .seconds(29)).isEmpty)
        #expect(spans.expired(at: start + .seconds(30)).count == 2)
        #expect(spans.takeRest().isEmpty)
    }

    @Test func runsAreBounded() {
        var spans = TimelineSpans()
        var taken = 0
        for number in 0..<Int64(3 * TimelineSpans.mostRuns) {
            taken += spans.take(event(number, "a", at: 0, .automatedScalingListener, "s/\(number)", "2")).count
        }
        #expect(taken == 2 * 2 * TimelineSpans.mostRuns)
        #expect(spans.takeRest().count == 2 * TimelineSpans.mostRuns)
    }

    @Test func lifesOfInstancesAndRequestsAreNoTracesHere() {
        var spans = TimelineSpans()
        for mechanism in [Mechanism.payPerUseResourceAgent, .payPerUseMonitoringAgent, .auditMonitor] {
            _ = spans.take(event(1, "a", at: 0, mechanism))
        }
        #expect(spans.takeRest().isEmpty)
    }

    @Test func anOperationIsLinkedToWhatItBroughtAbout() throws {
        var spans = TimelineSpans()
        _ = spans.take(event(1, "a", at: 1, .liveMigration, "before", "1"))
        _ = spans.take(event(2, "a", at: 11, .liveMigration, "mine", "1"))
        _ = spans.take(event(3, "a", at: 12, .liveMigration, "another's", "1", instance: "web-2"))
        var operation = Operation(
            id: "op", kind: "instance.restart", actor: "ada", service: "web", instance: "web-1",
            startedAt: start + .seconds(10))
        #expect(spans.span(of: operation) == nil)
        operation.endedAt = start + .seconds(20)
        operation.failure = "it did not start"
        let span = try #require(spans.span(of: operation))
        #expect(span.name == "instance.restart" && span.failure == "it did not start")
        #expect(span.links.map(\.trace) == [TraceID(derivedFrom: "mine")])
        #expect(span.links.map(\.span) == [SpanID(derivedFrom: "mine")])
    }

    /// Through a real event log: what was there before is left alone, the rest is taken once.
    @Test func theEventLogIsFollowed() async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("cloudwright-spans-\(UUID())")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let database = try SQLiteLogDatabase(path: directory.appendingPathComponent("log.sqlite").path)
        var operation = Operation(id: "op", kind: "instance.restart", actor: "ada", service: "web", startedAt: start)
        (operation.state, operation.endedAt) = (.succeeded, start + .seconds(3))
        var old = ControlTransaction()
        old.events = [event(0, "a", at: 0, .liveMigration, "old", "5")]
        let first = try await database.commit(old)
        var transaction = ControlTransaction()
        transaction.operations = [operation]
        var end = event(0, "operation.succeeded", at: 3)
        end.details = ["operation": "op"]
        transaction.events = [
            event(0, "a", at: 1, .liveMigration, "m", "1"), event(0, "b", at: 2, .liveMigration, "m", "5"), end,
        ]
        let last = try await database.commit(transaction)
        let traces = TimelineTraces(database: database, now: { start }, logger: Logger(label: "test"))
        var spans = TimelineSpans()
        #expect(try await traces.follow(after: first, &spans) == last)
        #expect(try await traces.follow(after: last, &spans) == last)
        #expect(traces.takeSpans(limit: 100).map(\.name) == ["live-migration", "a", "b", "instance.restart"])
        #expect(traces.takeSpans(limit: 100).isEmpty && traces.dropped == 0)
        await database.close()
    }
}
