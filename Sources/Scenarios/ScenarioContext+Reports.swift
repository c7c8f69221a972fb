public import AdministrationAPI
import AdministrationClient
import Foundation

extension ScenarioContext {
    /// What both agents say of each instance.
    public func usageText() async throws -> String {
        let report = try await administration.usage(UsageFilter())
        let head = row(["SERVICE", "INSTANCE", "RUNNING s", "BUSY s", "REQUESTS", "FINDING"])
        let rows = report.sideBySide.map { line -> String in
            row([
                line.service, line.instance, seconds(line.runningMicroseconds), seconds(line.busyMicroseconds),
                "\(line.requests)", line.finding.rawValue,
            ])
        }
        return ([head] + rows).joined(separator: "\n")
    }

    /// Who tried to log in, the newest first.
    public func auditText() async throws -> String {
        let events = try await administration.auditEvents(AuditFilter(), newest: 20)
        let head = row(["SERVICE", "WHO", "CREDENTIAL", "FROM", "OUTCOME", "REASON"])
        let rows = events.map { event in
            row([
                event.service, event.principal, event.credentialKind.rawValue, event.sourceAddress,
                event.outcome.rawValue, event.reason,
            ])
        }
        return ([head] + rows).joined(separator: "\n")
    }

    /// A bill, line by line.
    public func text(of bill: API.Bill) -> String {
        let head = row(["LINE", "QUANTITY", "UNIT", "AMOUNT"])
        let rows = bill.lines.map { row([$0.text, $0.quantity, $0.pricedUnit, "\($0.amount) \(bill.currency)"]) }
        return ([head] + rows + [row(["TOTAL", "", "", "\(bill.total) \(bill.currency)"])]).joined(separator: "\n")
    }

    private func row(_ cells: [String]) -> String {
        "  "
            + cells.map { $0.padding(toLength: max(16, $0.count + 1), withPad: " ", startingAt: 0) }
            .joined().trimmingCharacters(in: .whitespaces)
    }

    private func seconds(_ microseconds: Int64) -> String {
        String(format: "%.2f", Double(microseconds) / 1_000_000)
    }
}
