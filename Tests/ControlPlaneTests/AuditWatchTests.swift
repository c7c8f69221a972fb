import AuditMonitor
import CloudModel
import CloudPorts
import ControlPlane
import Foundation
import LogDatabaseSQLite
import Logging
import Synchronization
import Testing

private let start = Timestamp(microseconds: 1_790_000_000_000_000)

/// A log database with logins, and a clock that is set.
private final class Watched {
    let database: SQLiteLogDatabase
    private let directory: URL
    private let clock = Mutex(start)
    private var number: UInt64 = 0

    init() throws {
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("cloudwright-watch-\(UUID())")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        database = try SQLiteLogDatabase(path: directory.appendingPathComponent("log.sqlite").path)
    }

    func end() async {
        await database.close()
        try? FileManager.default.removeItem(at: directory)
    }

    func watch() -> AuditWatch {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return AuditWatch(
            database: database, settings: BruteForceDetector.Settings(failures: 5, window: .seconds(60)),
            now: { [self] in clock.withLock { $0 } }, logger: logger)
    }

    func reporter() -> LoginReporter {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return LoginReporter(
            database: database, period: .daily, now: { [self] in clock.withLock { $0 } }, logger: logger)
    }

    func set(_ time: Timestamp) { clock.withLock { $0 = time } }

    func fail(_ count: Int, at second: Int64, from address: String = "192.0.2.1") async throws {
        clock.withLock { $0 = start + .seconds(second) }
        for _ in 0..<count {
            number += 1
            try await database.record(
                AuditEvent(
                    requestID: RequestID(high: 1, low: number), observer: "gate", service: "shop", consumer: nil,
                    principal: "ada", credentialKind: .password, credentialTag: nil, sourceAddress: address,
                    userAgent: "", method: "POST", path: "/login", outcome: .failure, reason: "bad-credential",
                    status: 401, receivedAt: start + .seconds(second), forwardedAt: nil,
                    respondedAt: start + .seconds(second)))
        }
    }

    func told() async throws -> [CloudModel.Notification] {
        try await database.notifications(after: nil, limit: 100).map(\.notification)
    }
}

extension Watched: @unchecked Sendable {}

@Suite struct LoginReporterTests {
    @Test func aDayIsReportedOnceAlsoAfterARestart() async throws {
        let watched = try Watched()
        let end = AuditSettings.ReportPeriod.daily.lastTime(before: start + .hours(24)).upperBound
        // Only what falls into the day counts: one the day before, two just after its end.
        try await watched.fail(1, at: -86_400)
        try await watched.fail(3, at: 0)
        try await watched.fail(2, at: (end - start).microseconds / 1_000_000)
        // What is still in the spools when the day ends belongs to its report.
        watched.set(end + .seconds(60))
        let reporter = watched.reporter()
        try await reporter.report(.daily)
        #expect(try await watched.told().map(\.title) == ["Logins of 2026-09-20"])
        watched.set(end + .minutes(5))
        try await reporter.report(.daily)
        try await reporter.report(.daily)
        try await watched.reporter().report(.daily)
        let told = try await watched.told()
        #expect(Set(told.map(\.title)) == ["Logins of 2026-09-20", "Logins of 2026-09-21"] && told.count == 2)
        let report = try #require(told.first { $0.title == "Logins of 2026-09-21" })
        #expect(report.kind == "login-report" && report.severity == .info)
        // Nor is it begun again: the log knows of one sending each.
        var sent = EventQuery()
        sent.kindPrefix = "audit.report-sent"
        #expect(try await watched.database.events(sent).elements.count == 2)
        let before = try #require(told.first { $0.title == "Logins of 2026-09-20" })
        #expect(before.body.contains("shop: 0, 1, 0"))
        #expect(report.body.contains("shop: 0, 3, 0") && report.body.contains("3 of 'ada' from 192.0.2.1"))
        await watched.end()
    }
}

@Suite struct AuditWatchTests {
    @Test func anIncidentIsToldOnceAlsoAfterARestart() async throws {
        let watched = try Watched()
        let watch = watched.watch()
        try await watched.fail(4, at: 0)
        try await watch.look()
        #expect(try await watched.told().isEmpty)
        try await watched.fail(1_000, at: 1)
        try await watch.look()
        let told = try await watched.told()
        #expect(told.count == 1 && told.first?.kind == "brute-force" && told.first?.service == "shop")
        #expect(told.first?.body.contains("192.0.2.1") == true)
        // Somebody else goes on, and does not see the beginning any more.
        let restarted = watched.watch()
        try await watched.fail(20, at: 59)
        try await restarted.look()
        try await watched.fail(20, at: 118)
        try await restarted.look()
        #expect(try await watched.told().count == 1)
        // Quiet for a window: over; what comes then is another one.
        try await watched.fail(0, at: 178)
        try await restarted.look()
        try await watched.fail(5, at: 179)
        try await restarted.look()
        #expect(try await watched.told().count == 2)
        var query = EventQuery()
        query.kindPrefix = "audit.brute-force"
        let events = try await watched.database.events(query).elements
        #expect(
            events.map(\.kind) == [
                "audit.brute-force.began", "audit.brute-force.ended", "audit.brute-force.began",
            ])
        #expect(restarted.health == "ok")
        await watched.end()
    }

    @Test func manyAddressesAreOneIncidentOfThePrincipal() async throws {
        let watched = try Watched()
        for number in 1...20 { try await watched.fail(1, at: 1, from: "192.0.2.\(number)") }
        let watch = watched.watch()
        try await watch.look()
        #expect(
            try await watched.told().map(\.title) == [
                "Somebody is guessing credentials: logins of 'ada' at shop from several addresses"
            ])
        await watched.end()
    }
}
