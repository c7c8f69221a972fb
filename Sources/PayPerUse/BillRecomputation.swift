public import CloudModel

/// Computes a closed bill again from single records: by whoever holds them, without the log database's sums.
///
/// What is taken, in any order, is the consumer's: its requests, the events of the instances that it pays for, and its
/// credits. Memory grows with the events and credits, not with the requests.
public struct BillRecomputation: Sendable {
    /// What the bill says; its lines are not looked at.
    private let bill: Bill
    private let basis: BillBasis
    /// The bill's month and those that it corrects.
    private var months: [Month]
    private var events: Set<LifecycleEvent> = []
    private var credits: [String: Credit] = [:]

    private struct Month {
        var bill: Bill
        var run: BillRun
        var windows: [BillingWindow]
        var use: [BillingWindow: MeteredUse] = [:]
    }

    /// `earlier`: the bills that the basis names.
    public init(of bill: Bill, basis: BillBasis, earlier: [Bill]) {
        self.bill = bill
        self.basis = basis
        months = (earlier.sorted { $0.month < $1.month } + [bill]).map { bill in
            let run = BillRun(plan: bill.plan, window: bill.window)
            return Month(bill: bill, run: run, windows: run.windows)
        }
    }

    /// Whether a record has a part in the bill.
    public func concerns(_ record: UsageRecord) -> Bool {
        record.consumer == bill.consumer
            && months.contains { $0.bill.window.start <= record.completedAt && record.completedAt < $0.bill.window.end }
    }

    public mutating func take(_ record: UsageRecord) {
        guard record.consumer == bill.consumer else { return }
        for month in months.indices {
            for window in months[month].windows
            where window.start <= record.completedAt && record.completedAt < window.end {
                months[month].use[window, default: MeteredUse()].add(MonitoredUsage(record))
            }
        }
    }

    public func concerns(_ event: UsageEvent) -> Bool {
        event.consumer == bill.consumer
            && months.contains { $0.bill.window.start <= event.at && event.at < $0.bill.window.end }
    }

    public mutating func take(_ event: UsageEvent) {
        guard event.consumer == bill.consumer else { return }
        for month in months.indices {
            for window in months[month].windows where window.start <= event.at && event.at < window.end {
                months[month].use[window, default: MeteredUse()].add(event)
            }
        }
    }

    public mutating func take(_ event: LifecycleEvent) {
        if event.owner == bill.consumer { events.insert(event) }
    }

    /// The first one of an id counts.
    public mutating func take(_ credit: Credit) {
        if credit.consumer == bill.consumer, credits[credit.id] == nil { credits[credit.id] = credit }
    }

    /// The bill that the records give.
    public func recomputed() throws(TooManyPeriods) -> Bill {
        var rated: [(bill: Bill, recomputed: [BillLine])] = []
        for month in months { rated.append((month.bill, try lines(of: month))) }
        var result = bill
        let own = rated.removeLast().recomputed
        result.lines =
            months.last?.run.allLines(
                own: own,
                credits: credits.values.sorted { ($0.at, $0.id) < ($1.at, $1.id) }, earlier: rated) ?? []
        if basis.includesHeld { for index in result.lines.indices { result.lines[index].hold = nil } }
        return result
    }

    private func lines(of month: Month) throws(TooManyPeriods) -> [BillLine] {
        let heartbeats = Dictionary(
            basis.heartbeats.map { ($0.instance, $0.at) }, uniquingKeysWith: { first, _ in first })
        let reconstruction = UsageReconstruction(
            Array(events).concerning(month.bill.window), lastHeartbeats: heartbeats, lease: basis.lease,
            now: bill.cutoff)
        let intervals = reconstruction.intervals.filter { $0.owner == bill.consumer }
        var use = month.use
        for window in month.windows {
            for sum in try ResourceUsage.sums(of: intervals, from: window.start, until: window.end, by: .service) {
                use[window, default: MeteredUse()].add(sum)
            }
        }
        return month.run.lines(use: use, holds: basis.holds(in: month.bill.month))
    }
}

/// A figure of a bill that is not what the records give.
public struct BillDifference: Hashable, Sendable, CustomStringConvertible {
    /// Which figure: `line 2 (shop: requests (request, per-unit)), amount`.
    public var figure: String
    public var stated: String
    public var computed: String

    public var description: String { "\(figure) is \(stated), the records give \(computed)" }

    /// Line by line, since lines are all that is computed.
    public static func between(_ stated: Bill, _ computed: Bill) -> [BillDifference] {
        var found: [BillDifference] = []
        for index in 0..<max(stated.lines.count, computed.lines.count) {
            let left = index < stated.lines.count ? stated.lines[index] : nil
            let right = index < computed.lines.count ? computed.lines[index] : nil
            guard let left, let right else {
                let name = "line \(index + 1) (\((left ?? right)?.text ?? ""))"
                found.append(
                    BillDifference(
                        figure: name, stated: left == nil ? "missing" : "there",
                        computed: right == nil ? "none" : "one of \((right?.minorUnits).map { "\($0)" } ?? "")"))
                continue
            }
            found += differences(left, right, "line \(index + 1) (\(right.text))", stated)
        }
        return found
    }

    private static func differences(
        _ stated: BillLine, _ computed: BillLine, _ line: String, _ bill: Bill
    ) -> [BillDifference] {
        func window(_ line: BillLine) -> String { "\(line.window.start.rfc3339) to \(line.window.end.rfc3339)" }
        let figures: [(name: String, value: (BillLine) -> String)] = [
            ("kind", { $0.kind.rawValue }), ("price", { $0.key.price }),
            ("service", { $0.key.service?.rawValue ?? "none" }), ("meter", { $0.meter?.rawValue ?? "none" }),
            ("text", { $0.text }), ("window", window), ("quantity", { $0.quantity }),
            ("priced quantity", { $0.pricedQuantity }), ("unit", { $0.pricedUnit }),
            ("unit price", { $0.unitPrice?.description ?? "none" }), ("exact amount", { $0.exactAmount }),
            ("amount", { bill.money($0.minorUnits).description }), ("inferred", { "\($0.isInferred)" }),
            ("hold", { $0.hold ?? "none" }), ("corrected month", { $0.corrects?.description ?? "none" }),
        ]
        return figures.compactMap { name, value in
            let (left, right) = (value(stated), value(computed))
            return left == right
                ? nil : BillDifference(figure: "\(line), \(name)", stated: left, computed: right)
        }
    }
}
