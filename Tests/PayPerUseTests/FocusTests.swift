import CloudModel
import PayPerUse
import Testing

/// What FOCUS 1.2 asks of each column that is exported, written down from the specification, not from the exporter.
private struct FocusColumn {
    enum Form { case text, decimal, time, oneOf([String]) }

    var name: String
    var form: Form
    var isNullable = false

    static let all: [FocusColumn] = [
        .init(name: "BilledCost", form: .decimal), .init(name: "BillingAccountId", form: .text),
        .init(name: "BillingAccountName", form: .text), .init(name: "BillingAccountType", form: .text),
        .init(name: "BillingCurrency", form: .oneOf(["EUR"])), .init(name: "BillingPeriodEnd", form: .time),
        .init(name: "BillingPeriodStart", form: .time),
        .init(name: "ChargeCategory", form: .oneOf(["Usage", "Purchase", "Tax", "Credit", "Adjustment"])),
        .init(name: "ChargeClass", form: .oneOf(["Correction"]), isNullable: true),
        .init(name: "ChargeDescription", form: .text),
        .init(name: "ChargeFrequency", form: .oneOf(["One-Time", "Recurring", "Usage-Based"])),
        .init(name: "ChargePeriodEnd", form: .time), .init(name: "ChargePeriodStart", form: .time),
        .init(name: "ConsumedQuantity", form: .decimal, isNullable: true),
        .init(name: "ConsumedUnit", form: .text, isNullable: true), .init(name: "ContractedCost", form: .decimal),
        .init(name: "ContractedUnitPrice", form: .decimal, isNullable: true),
        .init(name: "EffectiveCost", form: .decimal), .init(name: "InvoiceId", form: .text, isNullable: true),
        .init(name: "InvoiceIssuerName", form: .text), .init(name: "ListCost", form: .decimal),
        .init(name: "ListUnitPrice", form: .decimal, isNullable: true),
        .init(name: "PricingCategory", form: .oneOf(["Standard", "Dynamic", "Committed", "Other"]), isNullable: true),
        .init(name: "PricingCurrency", form: .oneOf(["EUR"])),
        .init(name: "PricingQuantity", form: .decimal, isNullable: true),
        .init(name: "PricingUnit", form: .text, isNullable: true), .init(name: "ProviderName", form: .text),
        .init(name: "PublisherName", form: .text), .init(name: "ResourceId", form: .text, isNullable: true),
        .init(name: "ResourceName", form: .text, isNullable: true),
        .init(name: "ResourceType", form: .text, isNullable: true),
        .init(name: "ServiceCategory", form: .oneOf(["Compute", "Web", "Other"])),
        .init(name: "ServiceName", form: .text),
        .init(
            name: "ServiceSubcategory",
            form: .oneOf(["Other (Compute)", "Application Platforms", "Other (Other)"])),
        .init(name: "SkuId", form: .text, isNullable: true), .init(name: "SkuMeter", form: .text, isNullable: true),
        .init(name: "SkuPriceId", form: .text, isNullable: true),
    ]

    func accepts(_ value: String) -> Bool {
        if value.isEmpty { return isNullable }
        switch form {
        case .text: return true
        case .decimal: return ExactDecimal(value) != nil
        case .time: return value.utf8.count == 20 && value.hasSuffix("Z") && Timestamp(rfc3339: value) != nil
        case .oneOf(let words): return words.contains(value)
        }
    }
}

/// Reads RFC 4180.
private func rows(ofCSV text: String) -> [[String]] {
    var rows: [[String]] = [[]]
    var cell = ""
    var isQuoted = false
    var rest = text.unicodeScalars[...]
    while let scalar = rest.popFirst() {
        switch scalar {
        case "\"" where isQuoted && rest.first == "\"":
            rest.removeFirst()
            cell.append("\"")
        case "\"": isQuoted.toggle()
        case "," where !isQuoted:
            rows[rows.count - 1].append(cell)
            cell = ""
        case "\r" where !isQuoted:
            rest.removeFirst()
            rows[rows.count - 1].append(cell)
            cell = ""
            rows.append([])
        default: cell.unicodeScalars.append(scalar)
        }
    }
    return rows.dropLast()
}

/// Lines of every kind and model.
private func sampleBill() -> Bill {
    let tiers = [Price.Tier(upTo: decimal("10"), price: decimal("1")), .init(upTo: nil, price: decimal("0.3"))]
    let prices = [
        Price(id: "base", meter: nil, model: .flat(decimal("9.99"))),
        Price(id: "hours", meter: .instanceHour, model: .perUnit(decimal("0.05")), free: decimal("3")),
        Price(id: "memory", meter: .gibHour, model: .graduated(tiers)),
        Price(id: "requests", meter: .request, model: .package(decimal("0.4"), size: decimal("1000"))),
        Price(id: "bytes", meter: .byteOut, model: .volume(tiers)),
        Price(
            id: "busy", meter: .busySecond, model: .perUnit(decimal("1")), free: decimal("100"), minimum: decimal("2")),
        Price(id: "in", meter: .byteIn, model: .perUnit(decimal("1")), free: decimal("1000")),
    ]
    let plan = PricePlan(id: "p", currency: euro, prices: prices)
    let month = BillingMonth(year: 2_026, month: 11)
    guard let month else { preconditionFailure("no month") }
    let window = month.window(in: .utc)
    var use = MeteredUse()
    for (meter, count) in zip(BilledMeter.allCases, 1...) {
        use.add(Int128(count) * 7 * meter.countsPerUnit + 1, meter, of: "shop, \"the\" one")
    }
    let run = BillRun(plan: plan, window: window)
    var lines = run.lines(use: [window: use])
    lines += run.lines([
        Credit(
            id: "c", consumer: "acme", at: window.start, amount: Money(minorUnits: 5, currency: euro),
            reason: "line\r\nbreak", actor: "root")
    ])
    var correction = lines[1]
    (correction.kind, correction.corrects) = (.correction, BillingMonth(year: 2_026, month: 10))
    lines[2].hold = "in doubt"
    return Bill(
        consumer: "acme", consumerName: "Acme", month: month, window: window, plan: plan, cutoff: window.end,
        closedAt: window.end, lines: lines + [correction])
}

@Suite struct FocusTests {
    private func table(_ version: FocusExport.Version = .focus12) throws -> (head: [String], rows: [[String: String]]) {
        let all = rows(ofCSV: FocusExport(version: version, issuer: "demo").csv([sampleBill()]))
        let head = try #require(all.first)
        #expect(all.allSatisfy { $0.count == head.count })
        return (head, all.dropFirst().map { Dictionary(uniqueKeysWithValues: zip(head, $0)) })
    }

    @Test func everyColumnHasWhatTheSpecificationAsks() throws {
        let (head, rows) = try table()
        let standard = head.filter { !$0.hasPrefix("x_") }
        #expect(standard == FocusColumn.all.map(\.name))
        #expect(rows.count == sampleBill().lines.count)
        for row in rows {
            for column in FocusColumn.all {
                let value = row[column.name] ?? ""
                #expect(column.accepts(value), "\(column.name) is '\(value)' in \(row["ChargeDescription"] ?? "")")
            }
        }
    }

    @Test func theColumnsOfARowFitEachOther() throws {
        for row in try table().rows {
            let what = row["ChargeDescription"] ?? ""
            let isPlainUse = row["ChargeCategory"] == "Usage" && row["ChargeClass"] == ""
            let isPriced = isPlainUse || row["ChargeCategory"] == "Purchase"
            #expect((row["ConsumedQuantity"] != "") == isPlainUse, "\(what)")
            #expect((row["ConsumedUnit"] != "") == isPlainUse, "\(what)")
            for column in [
                "PricingQuantity", "PricingUnit", "ListUnitPrice", "ContractedUnitPrice", "SkuId", "SkuPriceId",
                "PricingCategory",
            ] {
                #expect((row[column] != "") == isPriced, "\(column) of \(what)")
            }
            #expect((row["ResourceType"] == "") == (row["ResourceId"] == ""), "\(what)")
            #expect(row["ChargeCategory"] != "Purchase" || row["ChargeFrequency"] != "Usage-Based", "\(what)")
            let start = try #require(row["ChargePeriodStart"]), end = try #require(row["ChargePeriodEnd"])
            #expect(start < end)
            #expect((row["BillingPeriodStart"] ?? "") <= start && end <= (row["BillingPeriodEnd"] ?? ""))
            // Price times quantity is the exact cost, which the cost is rounded from.
            guard isPriced, row["x_HoldReason"] == "" else { continue }
            let unit = try #require(ExactDecimal(row["ListUnitPrice"] ?? "")),
                exact = try #require(ExactDecimal(row["x_ExactCost"] ?? ""))
            let quantity = try #require(ExactDecimal(row["PricingQuantity"] ?? ""))
            let difference = Fraction(unit) * Fraction(quantity) - Fraction(exact)
            #expect(difference.rounded(to: 9, .halfEven) == 0, "\(what): \(difference.text())")
            #expect(
                row["BilledCost"] == Money(minorUnits: Fraction(exact).rounded(to: 2, .halfEven), currency: euro).amount
            )
        }
    }

    @Test func theRowsAddUpToTheBill() throws {
        let units = try table().rows.compactMap { ExactDecimal($0["BilledCost"] ?? "") }
            .reduce(Fraction.zero) { $0 + Fraction($1) }
        #expect(units.rounded(to: 2, .halfEven) == sampleBill().total.minorUnits)
    }

    @Test func theNewerVersionNamesHostAndServiceProvider() throws {
        let (head, rows) = try table(.focus13)
        #expect(Set(head).subtracting(try table().head) == ["HostProviderName", "ServiceProviderName"])
        #expect(rows.allSatisfy { $0["HostProviderName"] == "demo" && $0["ServiceProviderName"] == "demo" })
    }
}
