extension CloudConfiguration {
    func pricePlanFaults() -> [ConfigurationFault] {
        let services = Set(services.map(\.id))
        var names: Set<PricePlanID> = []
        var faults: [ConfigurationFault] = []
        for plan in pricePlans {
            var collector = FaultCollector(.pricePlan, plan.id.rawValue)
            collector.checkName(plan.id)
            collector.require(
                names.insert(plan.id).inserted, "metadata.name", "another price plan has this name", "give it its own")
            plan.check(&collector, services: services)
            faults += collector.faults
        }
        return faults
    }
}

extension PricePlan {
    /// Prices of one plan at most: a bill has at least one line for each.
    public static let maximumPrices = 200

    fileprivate func check(_ collector: inout FaultCollector, services: Set<ServiceID>) {
        collector.require(
            !timeZone.isEmpty && timeZone.utf8.count <= 64 && timeZone.utf8.allSatisfy { (0x21...0x7E).contains($0) },
            "spec.timeZone", "'\(timeZone)' is not a time zone", "write its name in the database: Europe/Berlin")
        collector.require(
            tolerance >= .zero, "spec.tolerance", "\(tolerance) is negative", "give 0 or more")
        collector.require(
            !prices.isEmpty && prices.count <= Self.maximumPrices, "spec.prices", "the plan has \(prices.count) prices",
            "give 1 to \(Self.maximumPrices)")
        var ids: Set<String> = []
        for (index, price) in prices.enumerated() {
            let path = "spec.prices[\(index)]"
            collector.require(
                Identifier<Price>(price.id).isValidLabel, "\(path).id", "'\(price.id)' is not a name",
                "use 1 to 63 lower-case letters, digits and hyphens, a letter or digit first and last")
            collector.require(
                ids.insert(price.id).inserted, "\(path).id", "another price of the plan has the id '\(price.id)'",
                "give each price its own; a price that changes gets a new id and from")
            if let service = price.service {
                collector.require(
                    services.contains(service), "\(path).service", "there is no CloudService '\(service)'",
                    "declare it, or leave it out for every service")
            }
            price.check(&collector, path)
        }
    }
}

extension Price {
    /// Tiers of one price at most.
    public static let maximumTiers = 100

    fileprivate func check(_ collector: inout FaultCollector, _ path: String) {
        for (key, amount) in amounts {
            collector.require(amount >= .zero, "\(path).\(key)", "\(amount) is negative", "give 0 or more")
        }
        if let from, let until {
            collector.require(from < until, "\(path).until", "it ends before it begins", "give a time after 'from'")
        }
        switch model {
        case .flat:
            collector.require(
                meter == nil && free == .zero && minimum == .zero, "\(path).model",
                "a flat price counts nothing, so it has neither meter nor free nor minimum", "remove them")
        case .package(_, let size):
            requireMeter(&collector, path)
            collector.require(
                size > .zero, "\(path).packageSize", "a package of nothing never ends", "give more than 0")
        case .perUnit: requireMeter(&collector, path)
        case .graduated(let tiers), .volume(let tiers):
            requireMeter(&collector, path)
            checkTiers(tiers, &collector, path)
        }
    }

    private func requireMeter(_ collector: inout FaultCollector, _ path: String) {
        let meters = BilledMeter.allCases.map(\.rawValue).joined(separator: ", ")
        collector.require(
            meter != nil, "\(path).meter", "it does not say what it counts",
            "write one of \(meters), or event:NAME")
    }

    private func checkTiers(_ tiers: [Tier], _ collector: inout FaultCollector, _ path: String) {
        collector.require(
            !tiers.isEmpty && tiers.count <= Self.maximumTiers, "\(path).tiers", "there are \(tiers.count) tiers",
            "give 1 to \(Self.maximumTiers)")
        var last = ExactDecimal.zero
        for (index, tier) in tiers.enumerated() {
            guard let upTo = tier.upTo else {
                collector.require(
                    index == tiers.count - 1, "\(path).tiers[\(index)].upTo", "only the last tier is without end",
                    "say where this one ends, or remove those after it")
                continue
            }
            collector.require(
                upTo > last, "\(path).tiers[\(index)].upTo", "it does not end above the tier before",
                "order the tiers by upTo")
            collector.require(
                index < tiers.count - 1, "\(path).tiers[\(index)].upTo", "units beyond it would have no price",
                "leave upTo out of the last tier")
            last = upTo
        }
    }

    private var amounts: [(String, ExactDecimal)] {
        let own = [("free", free), ("minimum", minimum)]
        switch model {
        case .flat(let price), .perUnit(let price), .package(let price, _): return own + [("price", price)]
        case .graduated(let tiers), .volume(let tiers):
            return own
                + tiers.enumerated().flatMap { index, tier in
                    [("tiers[\(index)].price", tier.price), ("tiers[\(index)].flat", tier.flat)]
                }
        }
    }
}
