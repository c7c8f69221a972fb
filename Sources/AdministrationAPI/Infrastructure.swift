extension API {
    /// Whether a physical server can be used.
    public enum HostPhase: String, WireEnumeration {
        case unknown
        case up
        case suspect
        case confirmed
        case fencing
        case fenced
        case recovering
    }

    /// How a virtual server is.
    public enum VirtualServerPhase: String, WireEnumeration {
        case starting
        case running
        case suspended
        case saved
        case stopping
        case unconfirmed
    }

    /// How a virtual server is moved.
    public enum MigrationMode: String, WireEnumeration {
        case live
        case suspended
    }

    /// A machine with a hypervisor, and what is left of it.
    public struct PhysicalServer: WireType {
        public var id: String
        public var phase: HostPhase
        public var maintenance: Bool
        public var closed: Bool
        public var drain: String?
        public var hypervisor: String
        public var version: String?
        public var cpuMillicores: Int
        public var cpuMillicoresUsed: Int
        public var memoryBytes: Int64
        public var memoryBytesUsed: Int64
        public var virtualServers: Int
        public var labels: [String: String]

        public init(
            id: String, phase: HostPhase, maintenance: Bool, closed: Bool, drain: String? = nil, hypervisor: String,
            version: String? = nil,
            cpuMillicores: Int, cpuMillicoresUsed: Int, memoryBytes: Int64, memoryBytesUsed: Int64,
            virtualServers: Int, labels: [String: String]
        ) {
            self.id = id
            self.phase = phase
            self.maintenance = maintenance
            self.closed = closed
            self.drain = drain
            self.hypervisor = hypervisor
            self.version = version
            self.cpuMillicores = cpuMillicores
            self.cpuMillicoresUsed = cpuMillicoresUsed
            self.memoryBytes = memoryBytes
            self.memoryBytesUsed = memoryBytesUsed
            self.virtualServers = virtualServers
            self.labels = labels
        }

        public static let summary = "A machine with a hypervisor, and what is left of it."
        public static let fields = [
            "id": "Its name.",
            "phase": "Whether it can be used: observed.",
            "maintenance": "Whether the configuration keeps new virtual servers off it.",
            "closed": "Whether it was drained and takes nothing new until it is activated.",
            "drain": "The operation that empties it; absent where none does.",
            "hypervisor": "Where its hypervisor answers.",
            "version": "Of its hypervisor; absent before it has answered.",
            "cpuMillicores": "Thousandths of a processor that the cloud may use.",
            "cpuMillicoresUsed": "What its virtual servers hold of them, those on their way to it included.",
            "memoryBytes": "Memory that the cloud may use.",
            "memoryBytesUsed": "What its virtual servers hold of it.",
            "virtualServers": "How many it has.",
            "labels": "What placement rules can ask for.",
        ]
    }

    /// A virtual server and where it is.
    public struct VirtualServer: WireType {
        public var instance: String
        public var service: String
        public var name: String
        public var uuid: String
        public var host: String
        public var phase: VirtualServerPhase
        public var address: String
        public var virtualCPUs: Int
        public var cpuMillicores: Int
        public var memoryBytes: Int64
        public var destination: String?
        public var bytesTransferred: Int64?
        public var bytesRemaining: Int64?

        public init(
            instance: String, service: String, name: String, uuid: String, host: String, phase: VirtualServerPhase,
            address: String, virtualCPUs: Int, cpuMillicores: Int, memoryBytes: Int64, destination: String? = nil,
            bytesTransferred: Int64? = nil, bytesRemaining: Int64? = nil
        ) {
            self.instance = instance
            self.service = service
            self.name = name
            self.uuid = uuid
            self.host = host
            self.phase = phase
            self.address = address
            self.virtualCPUs = virtualCPUs
            self.cpuMillicores = cpuMillicores
            self.memoryBytes = memoryBytes
            self.destination = destination
            self.bytesTransferred = bytesTransferred
            self.bytesRemaining = bytesRemaining
        }

        public static let summary = "A virtual server and where it is."
        public static let fields = [
            "instance": "The service instance that it is; commands name it by this.",
            "service": "The service that it implements.",
            "name": "Its name at the hypervisor.",
            "uuid": "Its identity at the hypervisor.",
            "host": "The physical server that has it.",
            "phase": "How it is.",
            "address": "Its address.",
            "virtualCPUs": "Its virtual processors.",
            "cpuMillicores": "Thousandths of a processor that it holds of its host.",
            "memoryBytes": "Its memory.",
            "destination": "Where it is being moved; absent otherwise.",
            "bytesTransferred": "What has been copied there.",
            "bytesRemaining": "What is still to be copied.",
        ]
    }

    /// What the agent of a physical server may count on.
    public struct HostLease: WireType {
        public var cloud: String
        public var leaseMilliseconds: Int64

        public init(cloud: String, leaseMilliseconds: Int64) {
            self.cloud = cloud
            self.leaseMilliseconds = leaseMilliseconds
        }

        public static let summary = "How long the virtual servers of a physical server may run."
        public static let fields = [
            "cloud": "Whose virtual servers they are: their names begin with it and a hyphen.",
            "leaseMilliseconds": "From when the renewal was asked for, by the clock of the asking machine.",
        ]
    }

    /// Where and how a virtual server is to be moved.
    public struct Migration: WireType {
        public var host: String?
        public var mode: MigrationMode?
        public var maximumDowntimeMilliseconds: Int64?
        public var bandwidthMebibytesPerSecond: Int?

        public init(
            host: String? = nil, mode: MigrationMode? = nil, maximumDowntimeMilliseconds: Int64? = nil,
            bandwidthMebibytesPerSecond: Int? = nil
        ) {
            self.host = host
            self.mode = mode
            self.maximumDowntimeMilliseconds = maximumDowntimeMilliseconds
            self.bandwidthMebibytesPerSecond = bandwidthMebibytesPerSecond
        }

        public static let summary = "Where and how a virtual server is to be moved."
        public static let fields = [
            "host": "The destination; absent for the best one.",
            "mode": "`live` while it runs, which is usual, or `suspended`.",
            "maximumDowntimeMilliseconds": "The pause that the last part of a live migration may take; usually 300.",
            "bandwidthMebibytesPerSecond": "Absent for no limit.",
        ]
    }

    /// How a physical server is to be emptied.
    public struct Drain: WireType {
        public var concurrentMigrations: Int?
        public var bandwidthMebibytesPerSecond: Int?
        public var partial: Bool?

        public init(
            concurrentMigrations: Int? = nil, bandwidthMebibytesPerSecond: Int? = nil, partial: Bool? = nil
        ) {
            self.concurrentMigrations = concurrentMigrations
            self.bandwidthMebibytesPerSecond = bandwidthMebibytesPerSecond
            self.partial = partial
        }

        public static let summary = "How a physical server is to be emptied."
        public static let fields = [
            "concurrentMigrations": "Virtual servers that are moved at a time: 1, which is usual, or 2.",
            "bandwidthMebibytesPerSecond": "For each; absent for no limit.",
            "partial": "Whether to begin although some of its virtual servers find no place now.",
        ]
    }

    /// What emptying a physical server would do now.
    public struct DrainPlan: WireType {
        public var host: String
        public var steps: [DrainStep]

        public init(host: String, steps: [DrainStep]) {
            self.host = host
            self.steps = steps
        }

        public static let summary = "What emptying a physical server would do now."
        public static let fields = [
            "host": "The physical server.",
            "steps": "Its virtual servers, in the order in which they would be moved.",
        ]
    }

    /// What would become of one virtual server.
    public struct DrainStep: WireType {
        public var instance: String
        public var destination: String?
        public var obstacle: String?

        public init(instance: String, destination: String? = nil, obstacle: String? = nil) {
            self.instance = instance
            self.destination = destination
            self.obstacle = obstacle
        }

        public static let summary = "What would become of one virtual server when its physical server is emptied."
        public static let fields = [
            "instance": "The service instance that it is.",
            "destination": "Where it would be moved to; absent where it would stay for now.",
            "obstacle": "Why it would stay.",
        ]
    }

    /// How much is done about uneven load without being asked.
    public enum RebalancingAutomation: String, WireEnumeration {
        case manual
        case partial
        case full
    }

    /// What would make the load of the physical servers even.
    public struct RebalancePlan: WireType {
        public var automation: RebalancingAutomation
        public var beforePercent: Int
        public var afterPercent: Int
        public var moves: [RebalanceMove]
        public var operation: String?

        public init(
            automation: RebalancingAutomation, beforePercent: Int, afterPercent: Int, moves: [RebalanceMove],
            operation: String? = nil
        ) {
            self.automation = automation
            self.beforePercent = beforePercent
            self.afterPercent = afterPercent
            self.moves = moves
            self.operation = operation
        }

        public static let summary = "What would make the load of the physical servers even."
        public static let fields = [
            "automation": "How much is done without being asked.",
            "beforePercent": "The standard deviation of the hosts' load now, in percent of a host.",
            "afterPercent": "What it would be after the migrations.",
            "moves": "The migrations, in the order in which they would be made.",
            "operation": "The rebalancing that is under way; absent where none is.",
        ]
    }

    /// One migration of a rebalancing.
    public struct RebalanceMove: WireType {
        public var instance: String
        public var source: String
        public var destination: String
        public var durationMilliseconds: Int64
        public var afterPercent: Int

        public init(
            instance: String, source: String, destination: String, durationMilliseconds: Int64, afterPercent: Int
        ) {
            self.instance = instance
            self.source = source
            self.destination = destination
            self.durationMilliseconds = durationMilliseconds
            self.afterPercent = afterPercent
        }

        public static let summary = "One migration of a rebalancing."
        public static let fields = [
            "instance": "The service instance that is moved.",
            "source": "Where it is.",
            "destination": "Where it would go.",
            "durationMilliseconds": "What the migration is expected to take.",
            "afterPercent": "The standard deviation of the hosts' load after it, in percent of a host.",
        ]
    }
}
