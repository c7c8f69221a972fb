/// What became of a virtual server, whoever asked for it.
public enum VirtualServerChange: String, Codable, Hashable, Sendable, CaseIterable {
    case defined, undefined
    case started
    /// Came in from another host.
    case arrived
    /// Went to another host: it did not end.
    case departed
    case suspended, resumed
    /// Ended by itself or as asked (`shutDown`).
    case shutOff = "shut-off"
    /// Ended by force (`destroy`).
    case destroyed
    /// Ended by a failure of the guest or of its emulator.
    case crashed
    /// Its memory was written to storage.
    case saved
}

public struct ObservedVirtualServer: Hashable, Sendable {
    public var name: VirtualServerID
    public var uuid: String
    /// As it was defined with; nil where it is not ours.
    public var identity: VirtualServerIdentity?
    public var state: VirtualServerState
    public var virtualCPUs: Int
    public var memory: ByteCount
    /// One half of a migration that is under way: on which side it will be is not decided.
    public var isInTransit: Bool

    public init(
        name: VirtualServerID, uuid: String, identity: VirtualServerIdentity?, state: VirtualServerState,
        virtualCPUs: Int, memory: ByteCount, isInTransit: Bool = false
    ) {
        self.name = name
        self.uuid = uuid
        self.identity = identity
        self.state = state
        self.virtualCPUs = virtualCPUs
        self.memory = memory
        self.isInTransit = isInTransit
    }
}

/// What a hypervisor can do; what it lacks is refused before it is tried.
public struct HypervisorCapabilities: Codable, Hashable, Sendable {
    public enum Feature: String, Codable, Hashable, Sendable, CaseIterable {
        case liveMigration = "live-migration"
        case storageMigration = "storage-migration"
        case postCopy = "post-copy"
        case autoConverge = "auto-converge"
        case cpuQuota = "cpu-quota"
        case addVirtualCPUs = "add-virtual-cpus"
        case removeVirtualCPUs = "remove-virtual-cpus"
        case changeMemory = "change-memory"
        case saveState = "save-state"
    }

    /// Of the hypervisor itself, for people (`QEMU 7.2.0, libvirt 9.0.0`).
    public var version: String
    /// The processor that guests see: both sides of a live migration need the same.
    public var cpuModel: String
    public var features: Set<Feature>

    public init(version: String, cpuModel: String, features: Set<Feature>) {
        self.version = version
        self.cpuModel = cpuModel
        self.features = features
    }
}

public struct ResizeRequest: Codable, Hashable, Sendable {
    /// The processor time that all virtual processors together may use.
    public var cpuMillicores: Int?
    public var virtualCPUs: Int?
    public var memory: ByteCount?

    public init(cpuMillicores: Int? = nil, virtualCPUs: Int? = nil, memory: ByteCount? = nil) {
        self.cpuMillicores = cpuMillicores
        self.virtualCPUs = virtualCPUs
        self.memory = memory
    }
}

public struct HypervisorError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable {
        /// There is no connection: what became of the command is not known.
        case unreachable
        case notFound = "not-found"
        /// The name or uuid is another's.
        case conflict
        /// The state that it is in does not permit it.
        case invalidState = "invalid-state"
        /// The host has not enough left, or a file is missing.
        case exhausted
        case unsupported
        /// A migration was aborted: the virtual server is on the source.
        case aborted
        /// A migration ended with the virtual server on neither side (post-copy alone can).
        case lost
        case failed
        /// Nothing was done: this control plane's turn to act is over, or has to be prolonged first.
        case notPermitted = "not-permitted"
        /// Nothing was done: a control plane with a later epoch has acted on it.
        case superseded
    }

    public var code: Code
    /// What happened, as the hypervisor says it.
    public var message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "\(code.rawValue): \(message)" }
}
