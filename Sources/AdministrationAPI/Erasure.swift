extension API {
    /// Whose logins are to tell nothing of a person any more.
    public struct ErasureRequest: WireType {
        public var principal: String

        public init(principal: String) { self.principal = principal }

        public static let summary = "Whose logins are to tell nothing of a person any more."
        public static let fields = ["principal": "The name that was logged in with, as the audit log has it."]
    }

    /// What an erasure did.
    public struct Erasure: WireType {
        public var erased: Int
        public var kept: Int

        public init(erased: Int, kept: Int) {
            self.erased = erased
            self.kept = kept
        }

        public static let summary = "What an erasure did."
        public static let fields = [
            "erased": "Logins that tell nothing of the person any more.",
            "kept": "Logins from before schema 5 of the log database: they stay, since their seals would not fit.",
        ]
    }
}
