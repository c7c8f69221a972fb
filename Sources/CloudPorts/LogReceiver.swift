/// Another system that is sent log lines.
public protocol LogReceiver: Sendable {
    /// Returns once the receiver has them, as far as its protocol can tell; some may then have come twice. Throws
    /// where that is not certain, and all of them are worth sending again.
    func take(_ lines: [String]) async throws(DeliveryError)
}
