package import CloudModel
package import ScalingListener

/// Gives every consumer a small number that is its own for the life of the process, whatever snapshots come and go, so
/// that ledgers and queues can be arrays and need no text on the hot path.
///
/// Written only where a snapshot is compiled; the loops read the copy of the names that is in each `ConsumerTable`.
/// Grows by one entry for each consumer that was ever applied.
package struct ConsumerRegistry: Sendable {
    /// The anonymous consumer's.
    package static let anonymous = ConsumerKey(0)

    /// By number.
    package private(set) var consumers: [ConsumerID] = [.anonymous]
    private var keys: [ConsumerID: ConsumerKey] = [.anonymous: anonymous]

    package init() {}

    package mutating func key(of consumer: ConsumerID) -> ConsumerKey {
        if let known = keys[consumer] { return known }
        let key = ConsumerKey(UInt32(consumers.count))
        consumers.append(consumer)
        keys[consumer] = key
        return key
    }
}
