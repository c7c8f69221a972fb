import Bookkeeping
import CloudModel
import CloudPorts
import Foundation
import Logging
import PayPerUse
import Synchronization
import Testing

@Suite struct BudgetTests {
    /// The fixture's cloud, where beta has a budget of one euro and a quota.
    private func desk(_ books: DeskFixture, quota: MonthlyQuota? = nil) -> BillingDesk {
        var declared = DeskFixture.configuration
        declared.consumers[1].budget = Budget(amount: ExactDecimal(1), thresholds: [50, 80, 100])
        declared.consumers[1].quota = quota
        declared.consumers[1].contacts = [.email(address: "beta@example.org")]
        let configuration = declared
        let desk = books.desk
        return BillingDesk(
            database: books.database, configuration: { configuration }, lease: .minutes(1),
            seal: { [] }, now: desk.now)
    }

    private final class Told: Sendable {
        let quotas = Mutex<[ExhaustedQuota]>([])
    }

    private func watch(_ desk: BillingDesk, _ told: Told) -> BudgetWatch {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return BudgetWatch(
            desk: desk, exhausted: { quotas in told.quotas.withLock { $0 = quotas } }, logger: logger)
    }

    @Test("each threshold is told once a month, to the consumer and to the administrators")
    func thresholds() async throws {
        try await DeskFixture.run(at: "2026-11-20T00:00:00Z") { books in
            let told = Told()
            let watch = watch(desk(books), told)
            func titles() async throws -> [String] {
                try await books.database.notifications(after: nil, limit: 100).map(\.notification)
                    .filter { $0.consumer != nil }.map(\.title).reversed()
            }
            for _ in 0..<49 { try await books.request("2026-11-10T01:00:00Z") }
            try await watch.look()
            #expect(try await titles().isEmpty)
            try await books.request("2026-11-10T01:00:00Z")
            try await watch.look()
            try await watch.look()
            // A watch of another process finds what was told.
            try await self.watch(desk(books), told).look()
            #expect(try await titles() == ["50 % of the budget of beta for 2026-11 is spent"])
            for _ in 0..<60 { try await books.request("2026-11-10T01:00:00Z") }
            try await watch.look()
            #expect(try await titles().count == 3)
            #expect(try await books.database.notifications(after: nil, limit: 100).count == 6)
            books.setTime("2026-12-02T00:00:00Z")
            for _ in 0..<50 { try await books.request("2026-12-01T01:00:00Z") }
            try await watch.look()
            #expect(try await titles().last == "50 % of the budget of beta for 2026-12 is spent")
            #expect(told.quotas.withLock { $0 }.isEmpty, "a budget stops nothing")
        }
    }

    @Test("a quota is used up by requests that were answered, or by money, and is given back with the month")
    func quotas() async throws {
        try await DeskFixture.run(at: "2026-11-20T00:00:00Z") { books in
            let told = Told()
            let watch = watch(desk(books, quota: MonthlyQuota(requests: 5, amount: ExactDecimal("0.08"))), told)
            for number in 1...8 {
                try await books.request("2026-11-10T01:00:00Z")
                try await watch.look()
                let kinds = told.quotas.withLock { $0.map(\.kind) }
                #expect(kinds == (number < 5 ? [] : number < 8 ? [.requests] : [.requests, .amount]), "\(number)")
            }
            let quota = try #require(told.quotas.withLock { $0.first })
            #expect(quota.limit == 5 && quota.used == 8 && quota.balance == -3)
            // Midnight in Berlin.
            #expect(quota.resetsAt == at("2026-11-30T23:00:00Z"))
            let kinds = try await books.database.notifications(after: nil, limit: 100).map(\.notification.kind)
            #expect(kinds.filter { $0 == "quota-exhausted" }.count == 4, "two quotas, each told to both")
            books.setTime("2026-11-30T23:00:00Z")
            try await watch.look()
            #expect(told.quotas.withLock { $0 }.isEmpty)
        }
    }

    @Test("what a consumer spends is what its bill says")
    func spent() async throws {
        try await DeskFixture.run(at: "2026-11-20T00:00:00Z") { books in
            try await books.request("2026-11-10T01:00:00Z")
            let desk = desk(books)
            _ = try await desk.credit("c", to: "beta", amount: ExactDecimal(2), reason: "r", actor: "root")
            let standing = try #require(try await desk.standings(of: "beta").first)
            #expect(standing.spent == (try await desk.bill(for: "beta", month: nil)).total)
            #expect(standing.percent == -199 && standing.reached.isEmpty && standing.requests == 1)
            #expect(try await desk.standings(of: "acme").isEmpty)
        }
    }
}
