import Bookkeeping
import CloudModel
import CloudPorts
import Foundation
import LogDatabaseSQLite
import Logging
import MerkleLog
import PayPerUse
import SealedBooks
import Synchronization
import Testing

func at(_ text: String) -> Timestamp {
    guard let time = Timestamp(rfc3339: text) else { preconditionFailure("'\(text)' is no time") }
    return time
}

func month(_ text: String) -> BillingMonth {
    guard let month = BillingMonth(text) else { preconditionFailure("'\(text)' is no month") }
    return month
}

final class SetClock: Sendable {
    private let time: Mutex<Timestamp>

    init(_ time: Timestamp) { self.time = Mutex(time) }

    var now: Timestamp { time.withLock { $0 } }
    func set(_ now: Timestamp) { time.withLock { $0 = now } }
}

/// A desk over a log database of its own, with a clock that is set.
final class DeskFixture: Sendable {
    static let configuration: CloudConfiguration = {
        guard let euro = Currency("EUR"), let hour = ExactDecimal("0.1"), let request = ExactDecimal("0.01"),
            let tolerance = ExactDecimal("0.5")
        else { preconditionFailure("no euro") }
        return CloudConfiguration(
            services: [
                CloudService(
                    id: "shop", owner: "acme", routes: [Route()],
                    instances: .process(ProcessTemplate(command: ["/bin/serve", "{port}"])))
            ],
            consumers: [
                CloudConsumer(id: "acme", displayName: "Acme", contacts: [.log], pricePlan: "standard"),
                CloudConsumer(id: "beta", pricePlan: "standard"),
            ],
            pricePlans: [
                PricePlan(
                    id: "standard", currency: euro, timeZone: "Europe/Berlin", tolerance: tolerance,
                    prices: [
                        Price(id: "hours", meter: .instanceHour, model: .perUnit(hour)),
                        Price(id: "requests", meter: .request, model: .perUnit(request)),
                    ])
            ])
    }()

    let database: SQLiteLogDatabase
    let directory: String
    let signer: CheckpointSigner
    let sealer: LogSealer
    private let clock: SetClock
    private let sequence = Mutex(UInt64(0))

    private init(_ time: Timestamp) throws {
        clock = SetClock(time)
        directory = NSTemporaryDirectory() + "/cloudwright-desk-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        database = try SQLiteLogDatabase(path: directory + "/log.sqlite")
        signer = try CheckpointSigner(name: "cloud", seed: Array(repeating: 3, count: 32))
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let clock = clock
        sealer = LogSealer(
            database: database, signer: signer, witness: URL(fileURLWithPath: directory + "/witness"),
            now: { clock.now }, logger: logger)
    }

    static func run(at time: String, _ body: (DeskFixture) async throws -> Void) async throws {
        let fixture = try DeskFixture(at(time))
        defer { try? FileManager.default.removeItem(atPath: fixture.directory) }
        do { try await body(fixture) } catch {
            await fixture.database.close()
            throw error
        }
        await fixture.database.close()
    }

    var desk: BillingDesk {
        BillingDesk(
            database: database, configuration: { Self.configuration }, lease: .minutes(1),
            seal: { [sealer] in try await sealer.sealNow() }, now: { [clock] in clock.now })
    }

    func setTime(_ text: String) { clock.set(at(text)) }

    func event(_ kind: LifecycleEvent.Kind, _ time: String, instance: InstanceID = "shop-1") async throws {
        var transaction = ControlTransaction()
        transaction.lifecycle = [
            LifecycleEvent(instance: instance, incarnation: 1, service: "shop", owner: "acme", kind: kind, at: at(time))
        ]
        try await database.commit(transaction)
    }

    func request(_ time: String, by consumer: ConsumerID = "beta", instance: InstanceID = "shop-1") async throws {
        let number = sequence.withLock { number in
            number += 1
            return number
        }
        let record = UsageRecord(
            requestID: RequestID(high: 0, low: number), consumer: consumer, service: "shop", instance: instance,
            outcome: .completed, status: 200, bytesIn: 1, bytesOut: 1, receivedAt: at(time), forwardedAt: at(time),
            completedAt: at(time) + .milliseconds(10))
        try await database.ingest(SpoolBatch(source: "g/0", firstSequence: number, records: [.usage(record)]))
    }
}

@Suite struct BillingDeskTests {
    @Test("months are those of the plan's time zone, and use at their border is on one bill")
    func timeZones() async throws {
        try await DeskFixture.run(at: "2026-12-01T12:00:00Z") { books in
            // Midnight in Berlin is 22:00 UTC before the clocks go back, and 23:00 after.
            try await books.event(.start, "2026-10-31T22:00:00Z")
            try await books.event(.stop, "2026-10-31T23:30:00Z")
            let october = try await books.desk.bill(for: "acme", month: month("2026-10"))
            let november = try await books.desk.bill(for: "acme", month: month("2026-11"))
            #expect(october.window == BillingWindow(start: at("2026-09-30T22:00:00Z"), end: at("2026-10-31T23:00:00Z")))
            #expect(october.window.end == november.window.start)
            #expect(october.lines.map(\.quantity) == ["1"])
            #expect(november.lines.map(\.quantity) == ["0.5"])
            #expect(try await books.desk.bill(for: "acme", month: nil).month == month("2026-12"))
        }
    }

    @Test("a record that comes after a month was closed is a correction in the next")
    func lateRecord() async throws {
        try await DeskFixture.run(at: "2026-11-02T00:00:00Z") { books in
            try await books.event(.start, "2026-10-10T00:00:00Z")
            try await books.event(.stop, "2026-10-10T10:00:00Z")
            try await books.request("2026-10-10T01:00:00Z")
            let closed = try await books.desk.close("beta", month("2026-10"), includesHeld: false, actor: "root")
            #expect(closed.total.minorUnits == 1)
            try await books.request("2026-10-10T02:00:00Z")
            #expect(try await books.desk.bill(for: "beta", month: month("2026-10")) == closed, "it never changes")
            books.setTime("2026-12-02T00:00:00Z")
            let next = try await books.desk.close("beta", month("2026-11"), includesHeld: false, actor: "root")
            #expect(next.lines.map(\.kind) == [.correction] && next.lines.map(\.minorUnits) == [1])
            #expect(next.lines.first?.corrects == month("2026-10"))
            books.setTime("2027-01-02T00:00:00Z")
            #expect(try await books.desk.bill(for: "beta", month: month("2026-12")).lines.isEmpty, "made once")
        }
    }

    @Test("a lost stop is held and told once; what clears up is billed later")
    func heldLine() async throws {
        try await DeskFixture.run(at: "2026-11-02T00:00:00Z") { books in
            try await books.event(.start, "2026-10-10T00:00:00Z")
            try await books.event(.start, "2026-10-12T00:00:00Z", instance: "shop-2")
            try await books.database.heartbeat(["shop-1"], at: at("2026-10-10T10:00:00Z"))
            // Its stop is known, its requests say that it ran on for ten hours.
            try await books.event(.stop, "2026-10-12T05:00:00Z", instance: "shop-2")
            try await books.request("2026-10-12T06:00:00Z", instance: "shop-2")
            try await books.request("2026-10-12T15:00:00Z", instance: "shop-2")
            try await books.request("2026-10-12T06:30:00Z", instance: "shop-2")
            let report = try await books.desk.reconcile(consumer: "acme", month: month("2026-10"), window: nil)
            let causes = report.instances.map { $0.instance.differences.map(\.cause) }
            #expect(causes == [[.bypass, .missingStop], [.outsideLifetime, .outsideLifetime]])
            // The lease of a minute is worth 0.0017 EUR; rounded away from zero.
            #expect(report.instances[0].instance.differences.map(\.minorUnits) == [0, -1])
            #expect(report.holds.isEmpty && !report.isSettled, "half an hour between two requests is below 0.50 EUR")
            try await books.request("2026-10-12T15:59:00Z", instance: "shop-2")
            try await books.request("2026-10-12T06:59:00Z", instance: "shop-2")
            for hour in 7..<15 {
                try await books.request("2026-10-12T\(hour < 10 ? "0" : "")\(hour):00:00Z", instance: "shop-2")
                try await books.request("2026-10-12T\(hour < 10 ? "0" : "")\(hour):59:00Z", instance: "shop-2")
            }
            let closed = try await books.desk.close("acme", month("2026-10"), includesHeld: false, actor: "root")
            #expect(closed.total.minorUnits == 0 && closed.held.minorUnits > 0)
            #expect(closed.lines.first?.hold?.contains("outside-lifetime") == true)
            let told = try await books.database.notifications(after: nil, limit: 10).map(\.notification.kind)
            #expect(told.sorted() == ["bill-closed", "bill-held"])
            // The stop that was taken for the right one is not the only one any more: an operator looks, and accepts.
            books.setTime("2026-12-02T00:00:00Z")
            let next = try await books.desk.close("acme", month("2026-11"), includesHeld: true, actor: "root")
            #expect(next.lines.isEmpty, "what is in doubt stays as it was billed")
        }
    }

    @Test("bills are closed month by month, once a month is over")
    func order() async throws {
        try await DeskFixture.run(at: "2026-11-30T22:59:59Z") { books in
            let desk = books.desk
            await #expect(throws: AdministrationRefusal.self) {
                try await desk.close("acme", month("2026-11"), includesHeld: false, actor: "root")
            }
            books.setTime("2026-11-30T23:00:00Z")
            _ = try await desk.close("acme", month("2026-09"), includesHeld: false, actor: "root")
            let refusal = await #expect(throws: AdministrationRefusal.self) {
                try await desk.close("acme", month("2026-11"), includesHeld: false, actor: "root")
            }
            #expect(refusal?.description == "bills are closed month by month: close 2026-10 first")
            _ = try await desk.close("acme", month("2026-10"), includesHeld: false, actor: "root")
            _ = try await desk.close("acme", month("2026-11"), includesHeld: false, actor: "root")
            #expect(
                try await desk.closedBills(of: "acme", limit: 9).map(\.month.description) == [
                    "2026-11", "2026-10", "2026-09",
                ])
        }
    }

    @Test("many who close at once get the same bill")
    func race() async throws {
        try await DeskFixture.run(at: "2026-12-01T12:00:00Z") { books in
            try await books.event(.start, "2026-11-10T00:00:00Z")
            try await books.event(.stop, "2026-11-11T00:00:00Z")
            let desk = books.desk
            let bills = try await withThrowingTaskGroup(of: Bill.self) { group in
                for number in 0..<8 {
                    group.addTask {
                        try await desk.close("acme", month("2026-11"), includesHeld: false, actor: "root-\(number)")
                    }
                }
                return try await group.reduce(into: Set<Bill>()) { $0.insert($1) }
            }
            #expect(bills.count == 1)
            #expect(try await books.database.bills(BillQuery()).count == 1)
            let told = try await books.database.notifications(after: nil, limit: 10)
            #expect(told.count == 1, "told once")
        }
    }

    @Test("what never came and what came twice is the operator's to look at")
    func recordDoubts() async throws {
        try await DeskFixture.run(at: "2026-11-02T00:00:00Z") { books in
            try await books.request("2026-11-01T10:00:00Z")
            try await books.database.ingest(
                SpoolBatch(
                    source: "g/0", firstSequence: 2,
                    records: [.lost(count: 5, since: at("2026-11-01T11:00:00Z"), until: at("2026-11-01T12:00:00Z"))]))
            let all = try await books.desk.reconcile(consumer: nil, month: month("2026-11"), window: nil)
            #expect(all.records.map(\.cause) == [.lostRecord] && all.records.map(\.count) == [5])
            #expect(!all.isSettled)
            let own = try await books.desk.reconcile(consumer: "acme", month: month("2026-11"), window: nil)
            #expect(own.records.isEmpty, "whose they are is not known")
        }
    }
}
