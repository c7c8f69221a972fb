public import CloudModel

/// What the agent of a physical server without a power device may count on.
public struct HostLease: Hashable, Sendable {
    /// Whose virtual servers it stops when the lease has run out. The platform says so, since under a name that is
    /// merely configured on the host a slip of the pen would stop nothing.
    public var cloud: String
    /// From when it asked, by its own clock.
    public var span: TimeSpan

    public init(cloud: String, span: TimeSpan) {
        self.cloud = cloud
        self.span = span
    }
}
