/// What the operator gives a consumer back. Never changed: one that was wrong is followed by another.
public struct Credit: Codable, Hashable, Sendable {
    /// Given once, however often it is sent.
    public var id: String
    public var consumer: ConsumerID
    /// The bill of the month that this lies in has it.
    public var at: Timestamp
    /// Greater than zero; a debit is less.
    public var amount: Money
    public var reason: String
    public var actor: String

    public init(id: String, consumer: ConsumerID, at: Timestamp, amount: Money, reason: String, actor: String) {
        self.id = id
        self.consumer = consumer
        self.at = at
        self.amount = amount
        self.reason = reason
        self.actor = actor
    }
}
