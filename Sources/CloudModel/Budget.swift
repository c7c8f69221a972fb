/// What a consumer means to spend in a calendar month, by the calendar of its price plan. It stops nothing: it is told.
public struct Budget: Codable, Hashable, Sendable {
    /// In the currency of the consumer's price plan.
    public var amount: ExactDecimal
    /// Percent of the amount that the consumer and the administrators are told of, each once a month; ascending.
    public var thresholds: [Int]

    public static let usualThresholds = [50, 80, 100]

    public init(amount: ExactDecimal, thresholds: [Int] = Budget.usualThresholds) {
        self.amount = amount
        self.thresholds = thresholds
    }
}

/// What a consumer may use in a calendar month at most: beyond it, the gateway refuses its requests until the next one.
public struct MonthlyQuota: Codable, Hashable, Sendable {
    /// Requests that instances answered.
    public var requests: Int64?
    /// What the month's bill may come to, in the currency of the consumer's price plan.
    public var amount: ExactDecimal?

    public init(requests: Int64? = nil, amount: ExactDecimal? = nil) {
        self.requests = requests
        self.amount = amount
    }
}

/// A quota that is used up.
public struct ExhaustedQuota: Codable, Hashable, Sendable {
    public var consumer: ConsumerID
    public var kind: Kind
    /// Requests, or minor units of the currency.
    public var limit: Int64
    public var used: Int64
    /// Nil for requests.
    public var currency: Currency?
    /// When the next month begins, and with it the quota anew.
    public var resetsAt: Timestamp

    public enum Kind: String, Codable, Hashable, Sendable, CaseIterable {
        case requests = "requests-per-month"
        case amount = "amount-per-month"
    }

    public init(
        consumer: ConsumerID, kind: Kind, limit: Int64, used: Int64, currency: Currency?, resetsAt: Timestamp
    ) {
        self.consumer = consumer
        self.kind = kind
        self.limit = limit
        self.used = used
        self.currency = currency
        self.resetsAt = resetsAt
    }

    /// What is left, in the unit of `limit`; below zero where more was used.
    public var balance: Int64 {
        let (rest, overflow) = limit.subtractingReportingOverflow(used)
        return overflow ? .min : rest
    }

    /// A figure of it as people write it: `1000`, `12.50`.
    public func text(_ figure: Int64) -> String {
        currency.map { Money(minorUnits: figure, currency: $0).amount } ?? "\(figure)"
    }
}
