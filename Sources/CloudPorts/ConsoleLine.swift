public import CloudModel

/// An open line to a virtual server: what its serial console says, and what is typed there.
public protocol ConsoleLine: Sendable {
    /// What came since the last call, as soon as there is anything; nil once the line has ended: the virtual server
    /// has stopped or moved, somebody took the console over, or it was closed. One reader. While nobody reads, the
    /// virtual server is held up before more than `ConsoleLimits.bufferBytes` are kept.
    func receive() async -> [UInt8]?
    /// Returns once it has been taken; throws `.invalidState` where the line has ended.
    func send(_ bytes: [UInt8]) async throws(HypervisorError)
    /// Ends it; repeated, it does nothing.
    func close() async
}

public enum ConsoleLimits {
    /// What a line keeps in each direction at most.
    public static let bufferBytes = 65_536
}
