extension API {
    /// What a line of a bill is for.
    public enum BillLineKind: String, WireEnumeration {
        case usage
        case fixed
        case credit
        case correction
    }

    /// Which version of FOCUS a table has.
    public enum FocusVersion: String, WireEnumeration {
        case focus12 = "1.2"
        case focus13 = "1.3"
    }

    /// What a consumer owes for a calendar month.
    public struct Bill: WireType {
        public var id: String
        public var consumer: String
        public var consumerName: String
        public var month: String
        public var periodStart: Moment
        public var periodEnd: Moment
        public var timeZone: String
        public var pricePlan: String
        public var currency: String
        public var cutoff: Moment
        public var closedAt: Moment?
        public var total: String
        public var held: String
        public var lines: [BillLine]

        public init(
            id: String, consumer: String, consumerName: String, month: String, periodStart: Moment, periodEnd: Moment,
            timeZone: String, pricePlan: String, currency: String, cutoff: Moment, closedAt: Moment? = nil,
            total: String, held: String, lines: [BillLine]
        ) {
            self.id = id
            self.consumer = consumer
            self.consumerName = consumerName
            self.month = month
            self.periodStart = periodStart
            self.periodEnd = periodEnd
            self.timeZone = timeZone
            self.pricePlan = pricePlan
            self.currency = currency
            self.cutoff = cutoff
            self.closedAt = closedAt
            self.total = total
            self.held = held
            self.lines = lines
        }

        public static let summary = "What a consumer owes for a calendar month."
        public static let fields = [
            "id": "Names the bill.",
            "consumer": "Who pays.",
            "consumerName": "What people call the consumer; empty where it has no such name.",
            "month": "The month, as `2026-11`.",
            "periodStart": "When the month begins, by the calendar of the plan's time zone.",
            "periodEnd": "When it ends, exclusive.",
            "timeZone": "That time zone.",
            "pricePlan": "The plan that it is rated by.",
            "currency": "What all amounts are in: a code of ISO 4217.",
            "cutoff": "What was in the books until then is counted.",
            "closedAt": "When it was closed; absent while it can still change.",
            "total": "What is due: an exact decimal with the currency's decimals.",
            "held": "What is not due yet, because the two agents do not agree.",
            "lines": "Use by service and price, then credits, then corrections of closed bills.",
        ]
    }

    /// One line of a bill.
    public struct BillLine: WireType {
        public var kind: BillLineKind
        public var price: String
        public var service: String?
        public var meter: String?
        public var text: String
        public var from: Moment
        public var until: Moment
        public var quantity: String
        public var pricedQuantity: String
        public var pricedUnit: String
        public var unitPrice: String?
        public var exactAmount: String
        public var amount: String
        public var inferred: Bool
        public var hold: String?
        public var corrects: String?

        public init(
            kind: BillLineKind, price: String, service: String? = nil, meter: String? = nil, text: String,
            from: Moment, until: Moment, quantity: String, pricedQuantity: String, pricedUnit: String,
            unitPrice: String? = nil, exactAmount: String, amount: String, inferred: Bool, hold: String? = nil,
            corrects: String? = nil
        ) {
            self.kind = kind
            self.price = price
            self.service = service
            self.meter = meter
            self.text = text
            self.from = from
            self.until = until
            self.quantity = quantity
            self.pricedQuantity = pricedQuantity
            self.pricedUnit = pricedUnit
            self.unitPrice = unitPrice
            self.exactAmount = exactAmount
            self.amount = amount
            self.inferred = inferred
            self.hold = hold
            self.corrects = corrects
        }

        public static let summary = "One line of a bill."
        public static let fields = [
            "kind": "What it is for.",
            "price": "The plan's price, or the credit, that it comes from.",
            "service": "Whose use it is for.",
            "meter": "What was counted: `instance-hour`, `vcpu-second`, `gib-hour`, `request`, `byte-in`, `byte-out`, "
                + "`busy-second`, or `event:NAME` of what a service counts itself.",
            "text": "In words.",
            "from": "The part of the month that it is for.",
            "until": "Its end, exclusive.",
            "quantity": "Used units: an exact decimal with 12 decimals at most.",
            "pricedQuantity": "What the price was put on: units beyond the free ones, packages, or months.",
            "pricedUnit": "What these are.",
            "unitPrice": "The price of one; absent where they do not all cost the same.",
            "exactAmount": "The amount before it was rounded, with 12 decimals at most.",
            "amount": "The amount, rounded once to the currency's decimals.",
            "inferred": "Whether part of it rests on a stop that was concluded.",
            "hold": "Why it is not due yet; absent where it is.",
            "corrects": "The closed month that it corrects.",
        ]
    }

    /// Something that a consumer is to be given back.
    public struct CreditRequest: WireType {
        public var id: String
        public var amount: String
        public var reason: String

        public init(id: String, amount: String, reason: String) {
            self.id = id
            self.amount = amount
            self.reason = reason
        }

        public static let summary = "Something that a consumer is to be given back."
        public static let fields = [
            "id": "Names the credit: sent again, it is the same one.",
            "amount": "In the currency of the consumer's plan, as `12.50`; less than zero charges the consumer.",
            "reason": "What the consumer reads on the bill.",
        ]
    }

    /// Something that a consumer is given back.
    public struct Credit: WireType {
        public var id: String
        public var consumer: String
        public var at: Moment
        public var amount: String
        public var currency: String
        public var reason: String
        public var actor: String

        public init(
            id: String, consumer: String, at: Moment, amount: String, currency: String, reason: String, actor: String
        ) {
            self.id = id
            self.consumer = consumer
            self.at = at
            self.amount = amount
            self.currency = currency
            self.reason = reason
            self.actor = actor
        }

        public static let summary = "Something that a consumer is given back."
        public static let fields = [
            "id": "Names the credit.",
            "consumer": "Who is given it.",
            "at": "When: the bill of the month that this lies in has it.",
            "amount": "How much.",
            "currency": "In which currency.",
            "reason": "Why.",
            "actor": "Who gave it.",
        ]
    }
}
