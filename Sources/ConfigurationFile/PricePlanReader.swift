import CloudModel
import Foundation

/// Reads the `spec` of a `PricePlan`.
struct PricePlanReader {
    let name: PricePlanID
    let spec: SectionReader

    private enum ModelWord: String, CaseIterable {
        case flat
        case perUnit = "per-unit"
        case graduated, volume, package
    }

    func read() -> PricePlan? {
        let currency = currency()
        let timeZone = timeZone()
        _ = spec.requiredValue("prices", remedy: "say what costs what: prices: [{id: ..., meter: ..., price: ...}]")
        let prices = (spec.items("prices") ?? []).compactMap { node, path in
            SectionReader(node, ConfigurationSchema.price, path: path, context: spec.context).flatMap(price)
        }
        guard let currency else { return nil }
        let usual = PricePlan(id: name, currency: currency, prices: [])
        return PricePlan(
            id: name, displayName: spec.text("displayName") ?? "", currency: currency,
            timeZone: timeZone ?? usual.timeZone,
            rounding: spec.choice("rounding", PricePlan.Rounding.self) ?? usual.rounding,
            tolerance: spec.decimal("tolerance") ?? usual.tolerance, prices: prices)
    }

    private func currency() -> Currency? {
        let remedy = "write a code of ISO 4217: EUR"
        guard let code = spec.requiredText("currency", remedy: remedy) else { return nil }
        if let currency = Currency(code) { return currency }
        spec.context.fault(
            "'\(code)' is no currency of ISO 4217", at: spec.value("currency") ?? spec.node,
            path: spec.pathOf("currency"), remedy: remedy)
        return nil
    }

    private func timeZone() -> String? {
        guard let name = spec.text("timeZone") else { return nil }
        if TimeZone(identifier: name) == nil {
            spec.context.fault(
                "'\(name)' is not in the time zone database", at: spec.value("timeZone") ?? spec.node,
                path: spec.pathOf("timeZone"), remedy: "write a name such as Europe/Berlin, or UTC")
        }
        return name
    }

    private static let meters = BilledMeter.allCases.map(\.rawValue).joined(separator: ", ")

    private func price(_ section: SectionReader) -> Price? {
        let id = section.requiredText("id", remedy: "name the price: id: hours-2026")
        let model = model(section)
        guard let id, let model else { return nil }
        let usual = Price(id: id, meter: nil, model: model)
        return Price(
            id: id, meter: section.choice("meter", BilledMeter.self, remedy: "write \(Self.meters), or event:NAME"),
            service: section.text("service").map { ServiceID($0) }, model: model,
            free: section.decimal("free") ?? usual.free, minimum: section.decimal("minimum") ?? usual.minimum,
            from: section.time("from"), until: section.time("until"))
    }

    private func model(_ section: SectionReader) -> Price.Model? {
        let word = section.choice("model", ModelWord.self) ?? .perUnit
        func refuse(_ keys: String...) {
            for key in keys where section.has(key) {
                section.context.fault(
                    "a price of model \(word.rawValue) has no \(key)", at: section.value(key) ?? section.node,
                    path: section.pathOf(key), remedy: "remove it, or take another model")
            }
        }
        switch word {
        case .flat, .perUnit:
            refuse("tiers", "packageSize")
            return amount(section, "price").map { word == .flat ? .flat($0) : .perUnit($0) }
        case .package:
            refuse("tiers")
            guard let price = amount(section, "price"), let size = amount(section, "packageSize") else { return nil }
            return .package(price, size: size)
        case .graduated, .volume:
            refuse("price", "packageSize")
            guard section.requiredValue("tiers", remedy: "give tiers: [{upTo: 100, price: 0.1}, {price: 0.05}]") != nil
            else { return nil }
            let tiers = (section.items("tiers") ?? []).compactMap { node, path in
                SectionReader(node, ConfigurationSchema.priceTier, path: path, context: section.context).flatMap(tier)
            }
            return word == .graduated ? .graduated(tiers) : .volume(tiers)
        }
    }

    private func tier(_ section: SectionReader) -> Price.Tier? {
        amount(section, "price").map { price in
            Price.Tier(
                upTo: section.decimal("upTo"), price: price, flat: section.decimal("flat") ?? .zero)
        }
    }

    private func amount(_ section: SectionReader, _ key: String) -> ExactDecimal? {
        guard section.requiredValue(key, remedy: "give a decimal number: \(key): 0.05") != nil else { return nil }
        return section.decimal(key)
    }
}
