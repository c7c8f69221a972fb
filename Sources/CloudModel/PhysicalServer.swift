/// A machine with a hypervisor, as the operator declares it.
///
/// Its capacity is what the operator gives the cloud, not what the machine reports: a hypervisor on a shared or an
/// emulated machine reports the whole of it.
public struct PhysicalServer: Codable, Hashable, Sendable {
    public var id: PhysicalServerID
    /// Where its hypervisor answers, as the adapter understands it (libvirt: `qemu+tcp://10.77.0.1/system`).
    public var hypervisor: String
    public var capacity: ServerResources
    /// What placement rules can ask for (`zone: a`).
    public var labels: [String: String]
    /// Takes no new virtual servers; those that it has stay until somebody migrates them.
    public var maintenance: Bool
    /// An administrator has drained it: it takes nothing new until it is activated. A command, not in the file:
    /// applying one keeps it.
    public var closed: Bool
    /// How it is proven off when it does not answer.
    public var fencing: FencingMethod
    /// Its hypervisor is taken for silent once it has left a question unanswered for so long.
    public var silentAfter: TimeSpan

    /// About as long as libvirt's keepalive takes.
    public static let usualSilentAfter = TimeSpan.seconds(4)

    public init(
        id: PhysicalServerID, hypervisor: String, capacity: ServerResources, labels: [String: String] = [:],
        maintenance: Bool = false, closed: Bool = false, fencing: FencingMethod = .manual,
        silentAfter: TimeSpan = usualSilentAfter
    ) {
        self.id = id
        self.hypervisor = hypervisor
        self.capacity = capacity
        self.labels = labels
        self.maintenance = maintenance
        self.closed = closed
        self.fencing = fencing
        self.silentAfter = silentAfter
    }

    /// What an earlier version stored is not closed, and has the usual patience.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        id = try container.decode(PhysicalServerID.self, forKey: .id)
        hypervisor = try container.decode(String.self, forKey: .hypervisor)
        capacity = try container.decode(ServerResources.self, forKey: .capacity)
        labels = try container.decode([String: String].self, forKey: .labels)
        maintenance = try container.decode(Bool.self, forKey: .maintenance)
        closed = try container.decodeIfPresent(Bool.self, forKey: .closed) ?? false
        fencing = try container.decode(FencingMethod.self, forKey: .fencing)
        silentAfter = try container.decodeIfPresent(TimeSpan.self, forKey: .silentAfter) ?? Self.usualSilentAfter
    }

    /// Whether one connection serves for both: it is the same hypervisor, waited for as long.
    public func isReached(as other: PhysicalServer) -> Bool {
        id == other.id && hypervisor == other.hypervisor && silentAfter == other.silentAfter
    }

    /// Whether new virtual servers may be put on it, as far as that is commanded.
    public var takesNew: Bool { !maintenance && !closed }
}

public typealias PhysicalServerID = Identifier<PhysicalServer>
public typealias VirtualServerID = Identifier<VirtualServer>

/// Processor time and memory: what a host has, and what a virtual server holds of it.
public struct ServerResources: Codable, Hashable, Sendable {
    /// Thousandths of a processor.
    public var cpuMillicores: Int
    public var memory: ByteCount

    public static let zero = ServerResources(cpuMillicores: 0, memory: ByteCount(bytes: 0))

    public init(cpuMillicores: Int, memory: ByteCount) {
        self.cpuMillicores = cpuMillicores
        self.memory = memory
    }

    public static func + (left: Self, right: Self) -> Self {
        ServerResources(
            cpuMillicores: left.cpuMillicores + right.cpuMillicores,
            memory: ByteCount(bytes: left.memory.bytes + right.memory.bytes))
    }

    public static func - (left: Self, right: Self) -> Self {
        ServerResources(
            cpuMillicores: left.cpuMillicores - right.cpuMillicores,
            memory: ByteCount(bytes: left.memory.bytes - right.memory.bytes))
    }

    /// Whether `other` has room in it.
    public func holds(_ other: Self) -> Bool { other.cpuMillicores <= cpuMillicores && other.memory <= memory }
}

/// How a physical server that does not answer is proven to run nothing any more.
public enum FencingMethod: Codable, Hashable, Sendable {
    /// A person says so (`cloudwright physical-server confirm-off`).
    case manual
    /// A program that switches the machine off and ends with 0 once it is off (a fence agent of the cluster
    /// community, or the operator's own). Program and arguments; `{host}` is replaced in each.
    case command([String])
    /// The machine stops its virtual servers itself once it has not heard from the control plane for this long.
    case lease(TimeSpan)
}
