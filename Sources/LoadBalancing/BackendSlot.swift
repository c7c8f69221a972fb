public import CloudModel

/// Names a backend of one service in the data plane: stable from the snapshot that brings the instance at this endpoint
/// until it is gone and its last request has ended; never names another one afterwards.
public struct BackendSlot: Hashable, Sendable, CustomStringConvertible {
    /// Dense: fit to index an array. Reused, with another generation, when a backend is gone for good.
    public let index: Int32
    public let generation: UInt32

    @inlinable public init(index: Int32, generation: UInt32) {
        self.index = index
        self.generation = generation
    }

    /// No backend.
    public static let none = BackendSlot(index: -1, generation: 0)
    public var description: String { "backend \(index)#\(generation)" }
}

/// Who a slot stands for and where it answers; never changes while the slot lives.
public struct BackendTarget: Hashable, Sendable {
    public var instance: InstanceID
    public var endpoint: Endpoint

    public init(instance: InstanceID, endpoint: Endpoint) {
        self.instance = instance
        self.endpoint = endpoint
    }
}

/// The backends that a request was sent to and that failed it: the last four, which is more than anybody retries.
public struct TriedBackends: Hashable, Sendable {
    private var first = BackendSlot.none
    private var second = BackendSlot.none
    private var third = BackendSlot.none
    private var fourth = BackendSlot.none

    public init() {}

    public init(_ slot: BackendSlot) { first = slot }

    public mutating func insert(_ slot: BackendSlot) {
        guard !contains(slot) else { return }
        fourth = third
        third = second
        second = first
        first = slot
    }

    public func contains(_ slot: BackendSlot) -> Bool {
        first == slot || second == slot || third == slot || fourth == slot
    }
}
