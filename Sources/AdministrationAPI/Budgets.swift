extension API {
    /// What a consumer has used and spent in the present month, and what it means and may use.
    public struct BudgetStanding: WireType {
        public var consumer: String
        public var month: String
        public var resetsAt: Moment
        public var currency: String?
        public var spent: String?
        public var budget: String?
        public var percent: Int?
        public var thresholds: [Int]
        public var reached: [Int]
        public var requests: Int64
        public var quotaRequests: Int64?
        public var quotaAmount: String?
        public var exhausted: [String]

        public init(
            consumer: String, month: String, resetsAt: Moment, currency: String?, spent: String?, budget: String?,
            percent: Int?, thresholds: [Int], reached: [Int], requests: Int64, quotaRequests: Int64?,
            quotaAmount: String?, exhausted: [String]
        ) {
            self.consumer = consumer
            self.month = month
            self.resetsAt = resetsAt
            self.currency = currency
            self.spent = spent
            self.budget = budget
            self.percent = percent
            self.thresholds = thresholds
            self.reached = reached
            self.requests = requests
            self.quotaRequests = quotaRequests
            self.quotaAmount = quotaAmount
            self.exhausted = exhausted
        }

        public static let summary = "What a consumer has used and spent in the present month, and what it may."
        public static let fields = [
            "consumer": "Whose it is.",
            "month": "The present month, by the calendar of its price plan, or of UTC.",
            "resetsAt": "When the next month begins, and with it budget and quota anew.",
            "currency": "What amounts are in; absent without a price plan.",
            "spent": "What the month's bill comes to by now, before corrections and with nothing held back.",
            "budget": "What it means to spend; absent without a budget.",
            "percent": "How much of the budget is spent, in whole percent.",
            "thresholds": "Percent of the budget that are told of.",
            "reached": "Those that are reached.",
            "requests": "Requests that instances answered this month.",
            "quotaRequests": "How many it may have answered; absent without such a quota.",
            "quotaAmount": "What the month's bill may come to; absent without such a quota.",
            "exhausted": "Quotas that are used up: its requests are refused.",
        ]
    }
}
