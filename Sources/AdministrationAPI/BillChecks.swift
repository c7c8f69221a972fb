extension API {
    /// What a check of a bill was about.
    public enum BillCheckKind: String, WireEnumeration {
        case log
        case basis
        case closing
        case completeness
        case figures
        case witness
    }

    /// What a check of a bill found.
    public enum BillCheckState: String, WireEnumeration {
        case proven
        case unproven
        case forged
    }

    /// One check of a bill.
    public struct BillCheck: WireType {
        public var kind: BillCheckKind
        public var subject: String
        public var state: BillCheckState
        public var detail: String

        public init(kind: BillCheckKind, subject: String, state: BillCheckState, detail: String) {
            self.kind = kind
            self.subject = subject
            self.state = state
            self.detail = detail
        }

        public static let summary = "One check of a closed bill."
        public static let fields = [
            "kind": """
            What was checked: `log`: records are in a sealed log that has only grown; `basis`: these are the logs that \
            the bill names; `closing`: it is the bill that was closed; `completeness`: no record was left out; \
            `figures`: records and price plan give the bill to the same bytes; `witness`: a witness knew the same log.
            """,
            "subject": "Which log or bill.",
            "state": "`forged` where it is not what was sealed, `unproven` where what would prove it is not there.",
            "detail": "What was found, for people.",
        ]
    }

    /// All checks of one bill.
    public struct BillVerification: WireType {
        public var bill: String
        public var checkedAt: Moment
        public var checks: [BillCheck]

        public init(bill: String, checkedAt: Moment, checks: [BillCheck]) {
            self.bill = bill
            self.checkedAt = checkedAt
            self.checks = checks
        }

        public static let summary = """
            What came of checking a closed bill against the platform's own logs. Who does not trust the platform \
            checks its proof with `cloudwright verify`.
            """
        public static let fields = [
            "bill": "The bill.",
            "checkedAt": "When it was checked.",
            "checks": "In the order in which they build on each other.",
        ]
    }
}
