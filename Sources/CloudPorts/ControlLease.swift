public import CloudModel

/// Who decides, where several control planes share one log database: one at a time.
///
/// Each holding of the lease has an epoch, one more than the last. From `acquireLease` on, what this log database
/// writes for the control plane is refused (`superseded`) once a later epoch has begun: in the same transaction, so
/// that not even a process that was frozen in between can write as if nothing had happened. Time is the server's alone.
public protocol ControlLease: Sendable {
    /// Takes the lease where nobody holds it, where its holder has let it lapse, or where the holder is `predecessor`:
    /// one that has stopped acting and passes the lease on, with no moment between in which another could take it.
    func acquireLease(
        holder: String, succeeding predecessor: String?, for duration: TimeSpan
    ) async throws(LogDatabaseError) -> LeaseAttempt
    /// Prolongs the lease, also a lapsed one that nobody has taken since. Throws `superseded` where somebody has.
    func renewLease(for duration: TimeSpan) async throws(LogDatabaseError)
    /// Lets the next one take over at once.
    func releaseLease() async throws(LogDatabaseError)
}

extension ControlLease {
    public func acquireLease(
        holder: String, for duration: TimeSpan
    ) async throws(LogDatabaseError) -> LeaseAttempt {
        try await acquireLease(holder: holder, succeeding: nil, for: duration)
    }
}

public enum LeaseAttempt: Hashable, Sendable {
    case held(epoch: Int64)
    /// For how much longer, if its holder does not prolong it.
    case heldByAnother(holder: String, remaining: TimeSpan)
}
