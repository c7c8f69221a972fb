public import CloudModel

extension Reconciliation {
    /// What a service's differences are worth to one payer, and whether its lines for what instances held are due.
    public struct Verdict: Hashable, Sendable {
        /// With their amounts.
        public var instances: [ReconciledInstance]
        /// Services whose lines are held, and why.
        public var holds: [ServiceID: String]
    }

    /// Puts amounts to the differences of a payer's instances: what the month's bill would be more or less by. Every
    /// difference is rated on top of the month's use, so that tiers and free units count.
    ///
    /// A service's lines are held where its differences, whatever their sign, add up to more than the plan's tolerance:
    /// what is too much for one instance does not pay for what is missing for another.
    public func verdict(for owner: ConsumerID, plan: PricePlan, use: [BillingWindow: MeteredUse]) -> Verdict {
        var instances = instances().filter { $0.owner == owner }
        var doubtful: [ServiceID: Int64] = [:]
        var causes: [ServiceID: Set<String>] = [:]
        for index in instances.indices {
            let resources = resources(of: instances[index])
            for place in instances[index].differences.indices {
                let difference = instances[index].differences[place]
                guard difference.microseconds != 0 else { continue }
                let amount = value(of: difference, resources, plan, use)
                instances[index].differences[place].minorUnits = amount
                guard amount != 0 else { continue }
                doubtful[difference.service] = (doubtful[difference.service] ?? 0).addingClamped(abs(amount))
                causes[difference.service, default: []].insert(difference.cause.rawValue)
            }
        }
        var holds: [ServiceID: String] = [:]
        for service in doubtful.keys.sorted() {
            let money = Money(minorUnits: doubtful[service] ?? 0, currency: plan.currency)
            let limit = Fraction(plan.tolerance).rounded(to: plan.currency.minorDigits, .halfEven)
            guard money.minorUnits > limit else { continue }
            let names = (causes[service] ?? []).sorted().joined(separator: ", ")
            holds[service] = "\(money) in doubt (\(names)); the tolerance is \(plan.tolerance) \(plan.currency)"
        }
        return Verdict(instances: instances, holds: holds)
    }

    /// Those that it held last; of an instance without a life, those of another one of the service.
    private func resources(of instance: ReconciledInstance) -> ResourceLimits {
        let own = lives[InstanceKey(service: instance.service, instance: instance.instance)]?.last
        let other = lives.keys.filter { $0.service == instance.service }.max().flatMap { lives[$0]?.last }
        return (own ?? other)?.resources ?? ResourceLimits()
    }

    private func value(
        of difference: UsageDifference, _ resources: ResourceLimits, _ plan: PricePlan,
        _ use: [BillingWindow: MeteredUse]
    ) -> Int64 {
        var total = Fraction.zero
        for price in plan.prices {
            guard let meter = price.meter, meter.isHeld, price.service ?? difference.service == difference.service,
                let part = window.intersection(price.from, price.until),
                part.intersection(difference.window.start, difference.window.end) != nil
            else { continue }
            let share = Fraction(part.microseconds, over: window.microseconds)
            let counts = use[part]?.counts(meter, of: difference.service) ?? 0
            let changed = max(0, counts + difference.microseconds * Self.counts(meter, resources))
            let change =
                price.charge(forCounts: changed, share: share).amount
                - price.charge(forCounts: counts, share: share).amount
            total = total + change
        }
        // Rounded away from zero: a doubt of less than a minor unit is not none.
        let rounded = (total < .zero ? -total : total) * Fraction(Self.power(plan.currency.minorDigits))
        let units = rounded.roundedUp.rounded(to: 0, .halfEven)
        return total < .zero ? -units : units
    }

    /// What one microsecond of an instance counts.
    private static func counts(_ meter: BilledMeter, _ resources: ResourceLimits) -> Int128 {
        switch meter {
        case .instanceHour: 1
        case .vcpuSecond: Int128(resources.cpuMillicores ?? 0)
        case .gibHour: Int128(resources.memory?.bytes ?? 0)
        case .request, .byteIn, .byteOut, .busySecond, .event: 0
        }
    }

    private static func power(_ digits: Int) -> Int128 { (0..<digits).reduce(1) { power, _ in power * 10 } }
}
