/// A virtual server as one VIM controls it: what it is, where it is, and how it is.
public struct VirtualServer: Codable, Hashable, Sendable {
    /// Its name at the hypervisor; unique in the cloud.
    public var id: VirtualServerID
    public var definition: VirtualServerDefinition
    /// Where it was placed; a migration changes it once the hypervisors have reported that it is over.
    public var host: PhysicalServerID
    public var state: VirtualServerState

    public init(
        id: VirtualServerID, definition: VirtualServerDefinition, host: PhysicalServerID, state: VirtualServerState
    ) {
        self.id = id
        self.definition = definition
        self.host = host
        self.state = state
    }
}

/// What a hypervisor reports of a virtual server.
public enum VirtualServerState: String, Codable, Hashable, Sendable, CaseIterable {
    /// Known to the hypervisor, not running: a cold standby.
    case defined
    case running
    /// Suspended in memory: a hot standby, and the moment between two hosts.
    case paused
    /// Suspended to disk: a warm standby.
    case saved
    /// Ends: asked to, or already at it.
    case stopping
    case crashed
}

/// Which virtual server it is: kept by the hypervisor with the virtual server itself, so that it can be found again
/// by a control plane that has lost its memory.
public struct VirtualServerIdentity: Codable, Hashable, Sendable {
    /// The cloud's name: several clouds may share a hypervisor and never touch what is not theirs.
    public var cloud: String
    public var service: ServiceID
    public var instance: InstanceID
    /// Tells a virtual server from its predecessor of the same name.
    public var incarnation: Int

    public init(cloud: String, service: ServiceID, instance: InstanceID, incarnation: Int) {
        self.cloud = cloud
        self.service = service
        self.instance = instance
        self.incarnation = incarnation
    }
}

/// All that a hypervisor needs to make a virtual server.
public struct VirtualServerDefinition: Codable, Hashable, Sendable {
    public var name: VirtualServerID
    /// Derived from the identity, so that a repeated definition is the same one (RFC 9562 text form).
    public var uuid: String
    public var identity: VirtualServerIdentity
    public var flavor: VirtualServerFlavor
    public var disks: [VirtualDisk]
    public var networks: [NetworkAttachment]
    /// Boots this kernel instead of what is on the first disk.
    public var directBoot: DirectBoot?
    /// First-boot configuration of cloud images (NoCloud); nil where there is none.
    public var seed: CloudInitSeed?
    /// Where the hypervisor writes the serial console to; nil: nowhere.
    public var consoleLog: String?
    /// A screen, for guests that show something there; nil: none.
    public var display: VirtualDisplay?

    public init(
        name: VirtualServerID, uuid: String, identity: VirtualServerIdentity, flavor: VirtualServerFlavor,
        disks: [VirtualDisk] = [], networks: [NetworkAttachment] = [], directBoot: DirectBoot? = nil,
        seed: CloudInitSeed? = nil, consoleLog: String? = nil, display: VirtualDisplay? = nil
    ) {
        self.name = name
        self.uuid = uuid
        self.identity = identity
        self.flavor = flavor
        self.disks = disks
        self.networks = networks
        self.directBoot = directBoot
        self.seed = seed
        self.consoleLog = consoleLog
        self.display = display
    }
}

/// How large a virtual server is.
public struct VirtualServerFlavor: Codable, Hashable, Sendable {
    public var virtualCPUs: Int
    /// The processor time that all its virtual processors together may use; nil: as much as they have.
    public var cpuMillicores: Int?
    public var memory: ByteCount
    /// Up to where the processor time may be raised while it runs; nil: not at all.
    public var maximumCpuMillicores: Int?
    /// Up to where processors and memory may be added while it runs; nil: not at all.
    public var maximumVirtualCPUs: Int?
    public var maximumMemory: ByteCount?

    public init(
        virtualCPUs: Int = 1, cpuMillicores: Int? = nil, memory: ByteCount, maximumCpuMillicores: Int? = nil,
        maximumVirtualCPUs: Int? = nil, maximumMemory: ByteCount? = nil
    ) {
        self.virtualCPUs = virtualCPUs
        self.cpuMillicores = cpuMillicores
        self.memory = memory
        self.maximumCpuMillicores = maximumCpuMillicores
        self.maximumVirtualCPUs = maximumVirtualCPUs
        self.maximumMemory = maximumMemory
    }

    /// What it takes of its host.
    public var resources: ServerResources {
        ServerResources(cpuMillicores: cpuMillicores ?? virtualCPUs * 1_000, memory: memory)
    }
}

/// A disk of a virtual server: its own overlay over an image that many share, or a file of its own.
public struct VirtualDisk: Codable, Hashable, Sendable {
    public enum Format: String, Codable, Hashable, Sendable, CaseIterable { case qcow2, raw }

    /// The file of this virtual server, as the hosts see it.
    public var path: String
    public var format: Format
    /// The image below it, which is never written to; nil where the disk is complete in itself. With an image, `path`
    /// is made when it is not there.
    public var image: String?
    public var imageFormat: Format?
    /// Of the overlay; nil: that of the image.
    public var size: ByteCount?
    /// Whether every host sees the same file; otherwise a migration copies it.
    public var shared: Bool

    public init(
        path: String, format: Format = .qcow2, image: String? = nil, imageFormat: Format? = nil,
        size: ByteCount? = nil, shared: Bool = true
    ) {
        self.path = path
        self.format = format
        self.image = image
        self.imageFormat = imageFormat
        self.size = size
        self.shared = shared
    }
}

/// How the screen of a virtual server is looked at.
public enum VirtualDisplay: String, Codable, Hashable, Sendable, CaseIterable { case vnc }

/// A network card on a bridge of the host.
public struct NetworkAttachment: Codable, Hashable, Sendable {
    public var bridge: String
    /// Six octets in hex with colons; derived from the identity, so that it stays the same across hosts.
    public var hardwareAddress: String

    public init(bridge: String, hardwareAddress: String) {
        self.bridge = bridge
        self.hardwareAddress = hardwareAddress
    }
}

public struct DirectBoot: Codable, Hashable, Sendable {
    /// Paths as the hosts see them.
    public var kernel: String
    public var initialRamdisk: String?
    public var commandLine: String

    public init(kernel: String, initialRamdisk: String? = nil, commandLine: String = "") {
        self.kernel = kernel
        self.initialRamdisk = initialRamdisk
        self.commandLine = commandLine
    }
}

/// cloud-init's NoCloud documents.
public struct CloudInitSeed: Codable, Hashable, Sendable {
    public var userData: String
    public var metaData: String
    public var networkConfig: String?

    public init(userData: String, metaData: String, networkConfig: String? = nil) {
        self.userData = userData
        self.metaData = metaData
        self.networkConfig = networkConfig
    }
}

/// Where an instance's virtual server is: stored with the instance before the hypervisor is asked for anything.
public struct VirtualServerPlacement: Codable, Hashable, Sendable {
    public var host: PhysicalServerID
    public var name: VirtualServerID
    public var uuid: String
    /// Its address among those of the service's range.
    public var address: String
    public var flavor: VirtualServerFlavor
    /// A migration there has begun: until it is over, the virtual server may be on either.
    public var destination: PhysicalServerID?
    /// The books have it as suspended: paused in memory, or saved to storage.
    public var isSuspended: Bool
    /// It waits to be needed, as a standby; nil where it does not.
    public var parked: ParkedState?
    /// The paths of the images that its disks are overlays over, as they were declared when it was started; nil where
    /// an earlier version stored it.
    public var images: [String]?

    public init(
        host: PhysicalServerID, name: VirtualServerID, uuid: String, address: String, flavor: VirtualServerFlavor,
        destination: PhysicalServerID? = nil, isSuspended: Bool = false, images: [String]? = nil
    ) {
        self.host = host
        self.name = name
        self.uuid = uuid
        self.address = address
        self.flavor = flavor
        self.destination = destination
        self.isSuspended = isSuspended
        self.images = images
    }
}

/// How a standby's virtual server waits.
public enum ParkedState: String, Codable, Hashable, Sendable, CaseIterable {
    /// In memory: it goes on within tens of milliseconds.
    case paused
    /// On storage: it takes no memory of its host meanwhile, which is kept free for it.
    case saved
}
