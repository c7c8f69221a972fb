public import CloudModel

/// Makes a consumer's bill for a month of what is in the books.
///
/// A price may be in force for a part of the month only, so use is asked for by the stretches of time that `windows`
/// names.
public struct BillRun: Sendable {
    public let plan: PricePlan
    public let window: BillingWindow

    public init(plan: PricePlan, window: BillingWindow) {
        self.plan = plan
        self.window = window
    }

    /// The parts of the month in which prices are in force, each once, in order.
    public var windows: [BillingWindow] { Set(plan.prices.compactMap(inForce)).sorted() }

    private func inForce(_ price: Price) -> BillingWindow? { window.intersection(price.from, price.until) }

    /// The lines for use, by service and price.
    ///
    /// - Parameters:
    ///   - use: for each of `windows`, what the consumer used in it.
    ///   - holds: services whose lines for what instances held are not due yet, and why.
    public func lines(use: [BillingWindow: MeteredUse], holds: [ServiceID: String] = [:]) -> [BillLine] {
        plan.prices.flatMap { price -> [BillLine] in
            guard let part = inForce(price) else { return [] }
            let share = Fraction(part.microseconds, over: window.microseconds)
            guard let meter = price.meter else { return [line(price, nil, part, .zero, share)] }
            let used = use[part] ?? MeteredUse()
            let services = price.service.map { [$0] } ?? used.services
            return services.compactMap { service in
                let counts = used.counts(meter, of: service)
                guard counts > 0 else { return nil }
                var line = line(price, service, part, counts, share)
                line.isInferred = meter.isHeld && used.isInferred(service)
                line.hold = meter.isHeld ? holds[service] : nil
                return line
            }
        }.sorted { ($0.key, $0.window) < ($1.key, $1.window) }
    }

    private func line(
        _ price: Price, _ service: ServiceID?, _ part: BillingWindow, _ counts: Int128, _ share: Fraction
    ) -> BillLine {
        let charge = price.charge(forCounts: counts, share: share)
        let isFixed = price.meter == nil || (charge.pricedQuantity == .zero && charge.amount > .zero)
        return BillLine(
            kind: isFixed ? .fixed : .usage, key: BillLine.Key(price: price.id, service: service ?? price.service),
            meter: price.meter, text: Self.text(price, service ?? price.service), window: part,
            quantity: charge.units.text(), pricedQuantity: charge.pricedQuantity.text(),
            pricedUnit: price.pricedUnit, unitPrice: charge.unitPrice, exactAmount: charge.amount.text(),
            minorUnits: charge.amount.rounded(to: plan.currency.minorDigits, plan.rounding))
    }

    private static func text(_ price: Price, _ service: ServiceID?) -> String {
        let what = price.meter?.rawValue ?? "period"
        return (service.map { "\($0): " } ?? "") + "\(price.id) (\(what), \(price.model.name))"
    }

    /// What a consumer is given back, as lines.
    public func lines(_ credits: [Credit]) -> [BillLine] {
        credits.filter { window.start <= $0.at && $0.at < window.end }
            .sorted { ($0.at, $0.id) < ($1.at, $1.id) }.map { credit in
                let minorUnits = credit.amount.minorUnits == .min ? .max : -credit.amount.minorUnits
                return BillLine(
                    kind: .credit, key: BillLine.Key(price: credit.id, service: nil), text: credit.reason,
                    window: window, quantity: "1", pricedQuantity: "1", pricedUnit: "Credits",
                    exactAmount: Money(minorUnits: minorUnits, currency: plan.currency).amount, minorUnits: minorUnits)
            }
    }

    /// What closed bills should have said by what is known now, less what was billed for it since: one line for each
    /// that differs. A line that was held is billed by this once nothing stands against it.
    ///
    /// - Parameters:
    ///   - closed: a closed bill.
    ///   - recomputed: the lines for use that its plan and the books give now.
    ///   - later: the bills that were closed after it.
    public static func corrections(of closed: Bill, recomputed: [BillLine], later: [Bill]) -> [BillLine] {
        var billed: [PlacedKey: Int64] = [:]
        var texts: [PlacedKey: BillLine] = [:]
        for line in closed.lines where line.kind == .usage || line.kind == .fixed {
            let key = PlacedKey(key: line.key, window: line.window)
            billed[key, default: 0] += line.hold == nil ? line.minorUnits : 0
            texts[key] = line
        }
        for line in later.flatMap(\.lines) where line.corrects == closed.month && line.hold == nil {
            let key = PlacedKey(key: line.key, window: line.window)
            billed[key, default: 0] += line.minorUnits
            texts[key] = texts[key] ?? line
        }
        var owed: [PlacedKey: BillLine] = [:]
        for line in recomputed {
            owed[PlacedKey(key: line.key, window: line.window)] = line
        }
        return Set(billed.keys).union(owed.keys).sorted().compactMap { key in
            let now = owed[key]
            // What stays in doubt stays as it was billed.
            guard let example = now ?? texts[key], now?.hold == nil else { return nil }
            let difference = (now?.minorUnits ?? 0) - (billed[key] ?? 0)
            guard difference != 0 else { return nil }
            return correction(of: closed, like: example, difference)
        }
    }

    private static func correction(of closed: Bill, like example: BillLine, _ difference: Int64) -> BillLine {
        var line = example
        line.kind = .correction
        line.corrects = closed.month
        if example.kind != .correction { line.text = "\(example.text), correction of \(closed.month)" }
        (line.quantity, line.pricedQuantity, line.pricedUnit) = ("1", "1", "Corrections")
        line.unitPrice = nil
        line.exactAmount = closed.money(difference).amount
        line.minorUnits = difference
        return line
    }

    private struct PlacedKey: Hashable, Comparable {
        var key: BillLine.Key
        var window: BillingWindow

        static func < (left: Self, right: Self) -> Bool { (left.key, left.window) < (right.key, right.window) }
    }
}

extension Price.Model {
    public var name: String {
        switch self {
        case .flat: "flat"
        case .perUnit: "per-unit"
        case .graduated: "graduated"
        case .volume: "volume"
        case .package: "package"
        }
    }
}

extension Price {
    /// What the priced quantity counts.
    var pricedUnit: String {
        switch model {
        case .flat: "Months"
        case .package(_, let size): "\(size) \(meter?.unit ?? "")"
        case .perUnit, .graduated, .volume: meter?.unit ?? ""
        }
    }
}
