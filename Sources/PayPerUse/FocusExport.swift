import CloudModel

/// Bills as a table by the FinOps Open Cost and Usage Specification (https://focus.finops.org): one row for each line.
public struct FocusExport: Sendable {
    public enum Version: String, CaseIterable, Hashable, Sendable {
        case focus12 = "1.2"
        /// Names host and service provider besides.
        case focus13 = "1.3"
    }

    public let version: Version
    /// Who sends the bills: the cloud's name.
    public let issuer: String

    public init(version: Version = .focus12, issuer: String) {
        self.version = version
        self.issuer = issuer
    }

    /// The names of the columns, in order: alphabetic, as the specification lists them, then the platform's own.
    public var columns: [String] {
        let newer = version == .focus13 ? ["HostProviderName", "ServiceProviderName"] : []
        return (Self.common + newer).sorted() + Self.own
    }

    private static let common = [
        "BilledCost", "BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency",
        "BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription",
        "ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit",
        "ContractedCost", "ContractedUnitPrice", "EffectiveCost", "InvoiceId", "InvoiceIssuerName", "ListCost",
        "ListUnitPrice", "PricingCategory", "PricingCurrency", "PricingQuantity", "PricingUnit", "ProviderName",
        "PublisherName", "ResourceId", "ResourceName", "ResourceType", "ServiceCategory", "ServiceName",
        "ServiceSubcategory", "SkuId", "SkuMeter", "SkuPriceId",
    ]

    private static let own = ["x_BillId", "x_CorrectsBillId", "x_ExactCost", "x_HoldReason", "x_IsInferred"]

    /// RFC 4180 with a header row. What is held costs nothing yet: its rows say why, with a cost of zero.
    public func csv(_ bills: [Bill]) -> String {
        var text = Self.row(columns)
        for bill in bills {
            for line in bill.lines {
                let values = values(of: line, in: bill)
                text += Self.row(columns.map { values[$0] ?? "" })
            }
        }
        return text
    }

    private static func row(_ cells: [String]) -> String { cells.map(quoted).joined(separator: ",") + "\r\n" }

    private static func quoted(_ cell: String) -> String {
        guard cell.unicodeScalars.contains(where: { "\",\r\n".unicodeScalars.contains($0) }) else { return cell }
        return "\"" + cell.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }

    /// Absent: null.
    private func values(of line: BillLine, in bill: Bill) -> [String: String] {
        var values = account(bill)
        values.merge(charge(line, in: bill)) { _, new in new }
        values.merge(quantities(line)) { _, new in new }
        values["InvoiceId"] = bill.closedAt == nil ? nil : bill.id
        values["x_BillId"] = bill.id
        values["x_CorrectsBillId"] = line.corrects.map { Bill.id(of: bill.consumer, $0) }
        values["x_ExactCost"] = line.exactAmount
        values["x_HoldReason"] = line.hold
        values["x_IsInferred"] = line.isInferred ? "true" : "false"
        return values
    }

    private func account(_ bill: Bill) -> [String: String] {
        [
            "BillingAccountId": bill.consumer.rawValue,
            "BillingAccountName": bill.consumerName.isEmpty ? bill.consumer.rawValue : bill.consumerName,
            "BillingAccountType": "CloudConsumer", "BillingCurrency": bill.plan.currency.code,
            "BillingPeriodStart": Self.time(bill.window.start), "BillingPeriodEnd": Self.time(bill.window.end),
            "InvoiceIssuerName": issuer, "ProviderName": issuer, "PublisherName": issuer,
            "HostProviderName": issuer, "ServiceProviderName": issuer, "PricingCurrency": bill.plan.currency.code,
        ]
    }

    private func charge(_ line: BillLine, in bill: Bill) -> [String: String] {
        let due = line.hold == nil ? bill.money(line.minorUnits).amount : bill.money(0).amount
        var values = [
            "BilledCost": due, "EffectiveCost": due, "ContractedCost": due, "ListCost": due,
            "ChargeCategory": Self.category(line.kind), "ChargeDescription": line.text,
            "ChargePeriodStart": Self.time(line.window.start), "ChargePeriodEnd": Self.time(line.window.end),
            "ChargeFrequency": line.kind == .credit ? "One-Time" : line.kind == .fixed ? "Recurring" : "Usage-Based",
            "ServiceName": line.key.service?.rawValue ?? "Cloudwright",
            "ServiceCategory": line.meter.map { $0.isHeld ? "Compute" : "Web" } ?? "Other",
            "ServiceSubcategory": line.meter.map { $0.isHeld ? "Other (Compute)" : "Application Platforms" }
                ?? "Other (Other)",
        ]
        if line.kind == .correction { values["ChargeClass"] = "Correction" }
        if let service = line.key.service {
            values["ResourceId"] = service.rawValue
            values["ResourceName"] = service.rawValue
            values["ResourceType"] = "CloudService"
        }
        return values
    }

    /// Credits and corrections have no quantity and no price.
    private func quantities(_ line: BillLine) -> [String: String] {
        guard line.kind == .usage || line.kind == .fixed else { return [:] }
        var values = [
            "PricingCategory": "Standard", "SkuId": line.key.price, "SkuPriceId": line.key.price,
            "PricingQuantity": line.pricedQuantity, "PricingUnit": line.pricedUnit,
        ]
        // Where units do not all cost the same, the price is that of all of them together.
        let price = line.unitPrice.map(\.description) ?? Self.blended(line)
        values["ListUnitPrice"] = price
        values["ContractedUnitPrice"] = price
        if let meter = line.meter { values["SkuMeter"] = meter.rawValue }
        guard line.kind == .usage else {
            if line.pricedQuantity == "0" { values["PricingQuantity"] = "1" }
            return values
        }
        values["ConsumedQuantity"] = line.quantity
        values["ConsumedUnit"] = line.meter?.unit
        return values
    }

    private static func blended(_ line: BillLine) -> String {
        guard let amount = ExactDecimal(line.exactAmount) else { return "0" }
        guard let quantity = ExactDecimal(line.pricedQuantity), quantity > .zero else { return amount.description }
        return (Fraction(amount) / Fraction(quantity)).text()
    }

    private static func category(_ kind: BillLine.Kind) -> String {
        switch kind {
        case .usage: "Usage"
        case .fixed: "Purchase"
        case .credit: "Credit"
        // What was billed wrong was use or a purchase; the specification marks the class, not the category.
        case .correction: "Usage"
        }
    }

    /// ISO 8601 in UTC, to the second.
    private static func time(_ time: Timestamp) -> String { time.rfc3339.prefix(19) + "Z" }
}
