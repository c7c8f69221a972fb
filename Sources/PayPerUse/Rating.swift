public import CloudModel

extension BilledMeter {
    /// How many of what the books count make one unit: microseconds, millicore-microseconds, byte-microseconds,
    /// requests or bytes; millionths of what a service counts itself.
    public var countsPerUnit: Int128 {
        switch self {
        case .instanceHour: 3_600_000_000
        case .vcpuSecond: 1_000 * 1_000_000
        case .gibHour: 1_073_741_824 * 3_600_000_000
        case .request, .byteIn, .byteOut: 1
        case .busySecond, .event: 1_000_000
        }
    }

    /// As bills name it.
    public var unit: String {
        switch self {
        case .instanceHour: "Hours"
        case .vcpuSecond: "vCPU-Seconds"
        case .gibHour: "GiB-Hours"
        case .request: "Requests"
        case .byteIn, .byteOut: "Bytes"
        case .busySecond: "Seconds"
        case .event(let name): name
        }
    }

    public func units(ofCounts counts: Int128) -> Fraction { Fraction(counts, over: countsPerUnit) }
}

/// What an amount of use costs, exactly.
public struct Charge: Sendable {
    /// In the currency's whole units; rounded where it is written into a bill, and nowhere else.
    public var amount: Fraction
    /// Used units, in the meter's unit.
    public var units: Fraction
    /// What the price was put on: units beyond the free ones, or packages, or one period.
    public var pricedQuantity: Fraction
    /// Of one of them; nil where they do not all cost the same.
    public var unitPrice: ExactDecimal?
}

extension Price {
    /// Rates what one service was used in the part of a billing period in which the price was in force.
    ///
    /// What is for a whole period (flat amounts, free units, minimum, and where tiers end) counts in proportion to
    /// `share`, that part of the period, exactly.
    public func charge(forCounts counts: Int128, share: Fraction = .one) -> Charge {
        let units = meter?.units(ofCounts: max(0, counts)) ?? .zero
        let free = Fraction(free) * share
        let beyond = max(.zero, units - free)
        var charge: Charge
        switch model {
        case .flat(let price):
            charge = Charge(
                amount: Fraction(price) * share, units: share, pricedQuantity: share, unitPrice: price)
        case .perUnit(let price):
            charge = Charge(
                amount: beyond * Fraction(price), units: units, pricedQuantity: beyond, unitPrice: price)
        case .package(let price, let size):
            let packages = (beyond / Fraction(size)).roundedUp
            charge = Charge(
                amount: packages * Fraction(price), units: units, pricedQuantity: packages, unitPrice: price)
        case .graduated(let tiers):
            charge = Charge(
                amount: Self.graduated(beyond, tiers, share), units: units, pricedQuantity: beyond, unitPrice: nil)
        case .volume(let tiers):
            let tier = tiers.first { tier in tier.upTo.map { beyond <= Fraction($0) * share } ?? true }
            let amount = tier.map { beyond * Fraction($0.price) + (beyond > .zero ? Fraction($0.flat) : .zero) }
            let isPlain = tier?.flat == .zero
            charge = Charge(
                amount: amount ?? .zero, units: units, pricedQuantity: beyond, unitPrice: isPlain ? tier?.price : nil)
        }
        let minimum = Fraction(minimum) * share
        if charge.amount < minimum {
            charge.amount = minimum
            charge.unitPrice = nil
        }
        return charge
    }

    private static func graduated(_ units: Fraction, _ tiers: [Tier], _ share: Fraction) -> Fraction {
        var amount = Fraction.zero
        var begin = Fraction.zero
        for tier in tiers {
            guard units > begin else { break }
            let end = tier.upTo.map { min(units, Fraction($0) * share) } ?? units
            amount = amount + (end - begin) * Fraction(tier.price) + Fraction(tier.flat)
            begin = end
        }
        return amount
    }
}
