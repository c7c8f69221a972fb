import AuditMonitor
import CloudModel
import Testing

@Suite struct LoginReportTests {
    private static func time(_ text: String) throws -> Timestamp { try #require(Timestamp(rfc3339: text)) }

    @Test(arguments: [
        // Thursday, 26 November 2026.
        (AuditSettings.ReportPeriod.daily, "2026-11-26T00:00:00Z", "2026-11-25T00:00:00Z", "2026-11-26T00:00:00Z"),
        (.daily, "2026-11-25T23:59:59Z", "2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z"),
        (.weekly, "2026-11-26T12:00:00Z", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"),
        (.weekly, "2026-11-22T23:59:59Z", "2026-11-09T00:00:00Z", "2026-11-16T00:00:00Z"),
        (.weekly, "2026-11-23T00:00:00Z", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"),
        (.monthly, "2026-01-31T01:00:00Z", "2025-12-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        (.monthly, "2028-03-01T00:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
    ])
    func theLastTimeThatIsOver(
        period: AuditSettings.ReportPeriod, now: String, begin: String, end: String
    ) throws {
        let time = period.lastTime(before: try Self.time(now))
        #expect(time == (try Self.time(begin))..<(try Self.time(end)))
    }

    @Test func theTextHasTheNumbersAndTheMostFailures() throws {
        var report = LoginReport(
            period: .monthly,
            time: AuditSettings.ReportPeriod.monthly.lastTime(before: try Self.time("2026-12-01T00:00:00Z")),
            rows: [LoginReport.Row(service: "shop", succeeded: 3, failed: 2, unknown: 1)],
            mostFailures: [
                LoginReport.Failures(principal: "ada", address: "192.0.2.1", count: 2),
                LoginReport.Failures(principal: "", address: "192.0.2.2", count: 1),
            ], incidents: 1)
        #expect(report.title == "Logins of 2026-11")
        #expect(report.body.contains("shop: 3, 2, 1"))
        #expect(report.body.contains("2 of 'ada' from 192.0.2.1\n1 of no name from 192.0.2.2"))
        #expect(report.body.contains("Guessing was found: 1 incident"))
        #expect(report.body.contains("--from 2026-11-01T00:00:00.000000Z --until 2026-12-01T00:00:00.000000Z"))
        report.rows = []
        #expect(report.body.hasPrefix("Nobody tried to log in"))
    }
}
