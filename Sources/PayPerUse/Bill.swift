public import CloudModel

/// What a consumer owes for a calendar month. A closed bill never changes: what is found out later is a correction in a
/// later one.
public struct Bill: Codable, Hashable, Sendable {
    public var consumer: ConsumerID
    public var consumerName: String
    public var month: BillingMonth
    /// The month in UTC, by the calendar of the plan's time zone.
    public var window: BillingWindow
    /// As it was when the bill was made: corrections are rated by it.
    public var plan: PricePlan
    /// What was in the books until then is counted.
    public var cutoff: Timestamp
    /// Nil while the month can still change.
    public var closedAt: Timestamp?
    /// Use by service and price, then credits, then corrections.
    public var lines: [BillLine]
    /// What it was computed from. Nil while it is open, and of bills that were closed before this was kept.
    public var basis: BillBasis?

    public init(
        consumer: ConsumerID, consumerName: String, month: BillingMonth, window: BillingWindow, plan: PricePlan,
        cutoff: Timestamp, closedAt: Timestamp? = nil, lines: [BillLine], basis: BillBasis? = nil
    ) {
        self.consumer = consumer
        self.consumerName = consumerName
        self.month = month
        self.window = window
        self.plan = plan
        self.cutoff = cutoff
        self.closedAt = closedAt
        self.lines = lines
        self.basis = basis
    }

    /// Names the bill: one consumer has one for a month.
    public var id: String { Self.id(of: consumer, month) }

    public static func id(of consumer: ConsumerID, _ month: BillingMonth) -> String { "\(consumer)-\(month)" }

    public func money(_ minorUnits: Int64) -> Money { Money(minorUnits: minorUnits, currency: plan.currency) }

    /// What is due: the sum of all lines that are not held.
    public var total: Money { money(lines.reduce(0) { $0.addingClamped($1.hold == nil ? $1.minorUnits : 0) }) }

    /// What is not due yet.
    public var held: Money { money(lines.reduce(0) { $0.addingClamped($1.hold == nil ? 0 : $1.minorUnits) }) }
}

/// One line of a bill.
public struct BillLine: Codable, Hashable, Sendable {
    public var kind: Kind
    /// What makes it the same line when it is rated again.
    public var key: Key
    public var meter: BilledMeter?
    public var text: String
    /// The part of the month that it is for.
    public var window: BillingWindow
    /// Used units, with 12 decimals at most.
    public var quantity: String
    /// What the price was put on: units beyond the free ones, packages, or periods.
    public var pricedQuantity: String
    public var pricedUnit: String
    /// Nil where the units do not all cost the same.
    public var unitPrice: ExactDecimal?
    /// The exact amount, with 12 decimals at most; `minorUnits` is it, rounded once.
    public var exactAmount: String
    public var minorUnits: Int64
    /// Part of it rests on a stop that was concluded, and may be corrected.
    public var isInferred: Bool
    /// Why it is not due yet; nil where it is.
    public var hold: String?
    /// The closed month that it corrects.
    public var corrects: BillingMonth?

    public enum Kind: String, Codable, Hashable, Sendable, CaseIterable {
        /// What was used.
        case usage
        /// What is due for the period, used or not.
        case fixed
        /// What the operator gives back.
        case credit
        /// What a closed bill should have said, less what it said.
        case correction
    }

    public struct Key: Codable, Hashable, Comparable, Sendable {
        /// Of the plan's price, or of the credit.
        public var price: String
        public var service: ServiceID?

        public init(price: String, service: ServiceID?) {
            self.price = price
            self.service = service
        }

        public static func < (left: Self, right: Self) -> Bool {
            (left.service?.rawValue ?? "", left.price) < (right.service?.rawValue ?? "", right.price)
        }
    }

    public init(
        kind: Kind, key: Key, meter: BilledMeter? = nil, text: String, window: BillingWindow, quantity: String,
        pricedQuantity: String, pricedUnit: String, unitPrice: ExactDecimal? = nil, exactAmount: String,
        minorUnits: Int64, isInferred: Bool = false, hold: String? = nil, corrects: BillingMonth? = nil
    ) {
        self.kind = kind
        self.key = key
        self.meter = meter
        self.text = text
        self.window = window
        self.quantity = quantity
        self.pricedQuantity = pricedQuantity
        self.pricedUnit = pricedUnit
        self.unitPrice = unitPrice
        self.exactAmount = exactAmount
        self.minorUnits = minorUnits
        self.isInferred = isInferred
        self.hold = hold
        self.corrects = corrects
    }
}

extension Int64 {
    /// Stays at the ends instead of trapping.
    func addingClamped(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? (other > 0 ? .max : .min) : sum
    }
}
