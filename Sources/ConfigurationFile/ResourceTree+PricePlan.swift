import CloudModel

extension ResourceTree {
    static func spec(of plan: PricePlan) -> ResourceTree {
        let usual = PricePlan(id: plan.id, currency: plan.currency, prices: [])
        var spec = MappingBuilder()
        spec.add("displayName", text: plan.displayName.isEmpty ? nil : plan.displayName)
        spec.add("currency", .text(plan.currency.code))
        spec.add("timeZone", plan.timeZone, default: usual.timeZone) { .text($0) }
        spec.add("rounding", plan.rounding, default: usual.rounding)
        spec.add("tolerance", plan.tolerance, default: usual.tolerance, number)
        spec.add("prices", list: plan.prices.map(price))
        return spec.tree
    }

    private static func number(_ value: ExactDecimal) -> ResourceTree { .plain(value.description) }

    private static func price(_ price: Price) -> ResourceTree {
        var builder = MappingBuilder()
        builder.add("id", text: price.id)
        builder.add("meter", price.meter.map { .plain($0.rawValue) })
        builder.add("service", text: price.service?.rawValue)
        func word(_ text: String) { builder.add("model", text, default: "per-unit") { .plain($0) } }
        switch price.model {
        case .flat(let amount):
            word("flat")
            builder.add("price", number(amount))
        case .perUnit(let amount):
            word("per-unit")
            builder.add("price", number(amount))
        case .package(let amount, let size):
            word("package")
            builder.add("price", number(amount))
            builder.add("packageSize", number(size))
        case .graduated(let tiers):
            word("graduated")
            builder.add("tiers", .list(tiers.map(tier)))
        case .volume(let tiers):
            word("volume")
            builder.add("tiers", .list(tiers.map(tier)))
        }
        builder.add("free", price.free, default: .zero, number)
        builder.add("minimum", price.minimum, default: .zero, number)
        builder.add("from", text: price.from?.rfc3339)
        builder.add("until", text: price.until?.rfc3339)
        return builder.tree
    }

    private static func tier(_ tier: Price.Tier) -> ResourceTree {
        var builder = MappingBuilder()
        builder.add("upTo", tier.upTo.map(number))
        builder.add("price", number(tier.price))
        builder.add("flat", tier.flat, default: .zero, number)
        return builder.tree
    }
}
