public import CloudModel

/// The hypervisor of one physical server.
///
/// It keeps itself connected from `open` to `close` and says so in `events`. Every command throws `.unreachable` while
/// it is not connected, and never waits for a connection. Commands may be repeated: one whose end has been reached
/// already succeeds.
public protocol Hypervisor: Sendable {
    var host: PhysicalServerID { get }

    /// What happened, in the order seen, from the call of `HypervisorProvider.open` on; one reader. What happened while
    /// there was no connection is not among it: after `connected`, `list` tells what is true now.
    var events: AsyncStream<HypervisorEvent> { get }

    /// All virtual servers, also those of nobody's (`identity` is nil) and those that do not run.
    func list() async throws(HypervisorError) -> [ObservedVirtualServer]

    // MARK: Life
    /// Makes the virtual server known, with its overlays, its seed and its identity; does not start it.
    func define(_ definition: VirtualServerDefinition) async throws(HypervisorError)
    /// Also out of the saved state where there is one. With `paused`, it waits for `resume` before its first step.
    func start(_ server: VirtualServerID, paused: Bool) async throws(HypervisorError)
    /// Asks the guest to end; returns at once, the end comes as an event.
    func shutDown(_ server: VirtualServerID) async throws(HypervisorError)
    /// Ends it at once.
    func destroy(_ server: VirtualServerID) async throws(HypervisorError)
    func suspend(_ server: VirtualServerID) async throws(HypervisorError)
    func resume(_ server: VirtualServerID) async throws(HypervisorError)
    /// Writes its memory to the host's storage and ends it; `start` goes on from there.
    func save(_ server: VirtualServerID) async throws(HypervisorError)
    /// Forgets it, with its saved state; removes its overlays and its seed if `removingDisks`.
    func undefine(_ server: VirtualServerID, removingDisks: Bool) async throws(HypervisorError)

    // MARK: Size and statistics
    func statistics() async throws(HypervisorError) -> HypervisorStatistics
    /// Changes what is given and leaves the rest. Throws `.unsupported` for what cannot be changed while it runs.
    func resize(_ server: VirtualServerID, to change: ResizeRequest) async throws(HypervisorError)

    // MARK: Migration
    /// Moves it, and returns once it runs (or waits paused) at the destination and the source has forgotten it. Where
    /// it throws, it is where it was, except after `.lost`.
    /// - Parameters:
    ///   - destination: the declared hypervisor address of the other host.
    ///   - progress: called at least once a second.
    func migrate(
        _ server: VirtualServerID, to destination: PhysicalServer, settings: MigrationSettings,
        progress: @escaping @Sendable (MigrationProgress) -> Void
    ) async throws(HypervisorError) -> MigrationResult
    /// The virtual server stays on the source; `migrate` throws `.aborted`.
    func abortMigration(_ server: VirtualServerID) async throws(HypervisorError)

    // MARK: Consoles
    /// Opens the serial console of a virtual server that runs. Throws `.conflict` where somebody has it open, unless
    /// `takingOver`, which ends theirs, and `.invalidState` where it does not run.
    func openConsole(_ server: VirtualServerID, takingOver: Bool) async throws(HypervisorError) -> any ConsoleLine

    /// Opens the screen of a virtual server that runs: the line speaks the protocol of its display (RFB for VNC).
    /// Throws `.unsupported` where it has none, or one that cannot be reached from here.
    func openDisplay(_ server: VirtualServerID) async throws(HypervisorError) -> any ConsoleLine

    /// Ends the connection and `events`. Virtual servers go on.
    func close() async
}

/// Makes the connection to a physical server's hypervisor.
public protocol HypervisorProvider: Sendable {
    /// Begins to connect and returns at once.
    func open(_ server: PhysicalServer) -> any Hypervisor
}

public enum HypervisorEvent: Hashable, Sendable {
    /// Also after every reconnection.
    case connected(HypervisorCapabilities)
    case disconnected(reason: String)
    case virtualServer(VirtualServerID, uuid: String, VirtualServerChange)
}

public struct HypervisorStatistics: Hashable, Sendable {
    public var virtualServers: [VirtualServerID: VirtualServerStatistics]

    public init(virtualServers: [VirtualServerID: VirtualServerStatistics]) { self.virtualServers = virtualServers }
}

/// Counters since the virtual server was started.
public struct VirtualServerStatistics: Hashable, Sendable {
    public var cpuTime: TimeSpan
    /// What its emulator holds of the host's memory.
    public var residentMemory: ByteCount?

    public init(cpuTime: TimeSpan, residentMemory: ByteCount? = nil) {
        self.cpuTime = cpuTime
        self.residentMemory = residentMemory
    }
}
