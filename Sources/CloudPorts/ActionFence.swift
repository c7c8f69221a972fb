/// Asked by an adapter right before it acts on the world outside: at the place where nothing is left to do but to act.
///
/// Several control planes may share a log database and take turns (`ControlLease`). One that was frozen, or cut off
/// from the log database, must not begin to act when its turn is over, however far its command had come.
public protocol ActionFence: Sendable {
    /// Runs what begins the action, with the epoch that it is done under (nil where nobody takes turns). Gives back nil
    /// without having run it where this control plane may not act, or not for long enough any more.
    func perform<Value, Failure: Error>(_ action: (Int64?) throws(Failure) -> Value) throws(Failure) -> Value?
}

/// Where no other control plane can take over.
public struct NoActionFence: ActionFence {
    public init() {}

    public func perform<Value, Failure: Error>(_ action: (Int64?) throws(Failure) -> Value) throws(Failure) -> Value? {
        try action(nil)
    }
}
