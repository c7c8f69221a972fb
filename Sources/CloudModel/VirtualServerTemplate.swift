/// How a service's instances are made as virtual servers.
///
/// `{instance}`, `{service}`, `{address}`, `{prefix}` and `{port}` are replaced in the kernel's command line, in the
/// seed and in the paths of disks.
public struct VirtualServerTemplate: Codable, Hashable, Sendable {
    public var flavor: VirtualServerFlavor
    /// In the order in which they are attached.
    public var disks: [VirtualDisk]
    /// The bridge of every host that the first network card is attached to; nil: no network card.
    public var bridge: String?
    public var directBoot: DirectBoot?
    public var seed: CloudInitSeed?
    /// A screen; nil: none, and the serial console is all there is.
    public var display: VirtualDisplay?
    /// The addresses that instances are given; each is given to one at a time.
    public var addresses: AddressRange
    /// Where the service listens in each.
    public var port: UInt16
    public var placement: PlacementRule
    /// Between the request to shut down and the hard stop.
    public var stopGrace: TimeSpan

    public init(
        flavor: VirtualServerFlavor, disks: [VirtualDisk] = [], bridge: String? = nil, directBoot: DirectBoot? = nil,
        seed: CloudInitSeed? = nil, display: VirtualDisplay? = nil, addresses: AddressRange, port: UInt16,
        placement: PlacementRule = .init(),
        stopGrace: TimeSpan = .seconds(10)
    ) {
        self.flavor = flavor
        self.disks = disks
        self.bridge = bridge
        self.directBoot = directBoot
        self.seed = seed
        self.display = display
        self.addresses = addresses
        self.port = port
        self.placement = placement
        self.stopGrace = stopGrace
    }
}

/// Consecutive IPv4 addresses of one network.
public struct AddressRange: Codable, Hashable, Sendable {
    /// As a number in host order.
    public var first: UInt32
    /// Inclusive.
    public var last: UInt32
    public var prefixLength: Int

    public init(first: UInt32, last: UInt32, prefixLength: Int) {
        self.first = first
        self.last = last
        self.prefixLength = prefixLength
    }

    public var count: Int { last < first ? 0 : Int(last - first) + 1 }

    /// Reads `10.0.0.10-10.0.0.29`; nil where the text is none.
    public init?(parsing text: String, prefixLength: Int) {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false).map(Self.number)
        guard ends.count == 2, let first = ends[0], let last = ends[1], first <= last else { return nil }
        self.init(first: first, last: last, prefixLength: prefixLength)
    }

    /// As `init(parsing:)` reads it.
    public var text: String { "\(Self.dotted(first))-\(Self.dotted(last))" }

    private static func number(_ text: Substring) -> UInt32? {
        guard AddressText.isIPv4(text) else { return nil }
        return text.split(separator: ".").reduce(UInt32(0)) { $0 << 8 | (UInt32($1) ?? 0) }
    }

    private static func dotted(_ value: UInt32) -> String {
        "\(value >> 24).\(value >> 16 & 0xFF).\(value >> 8 & 0xFF).\(value & 0xFF)"
    }

    /// In dotted form; nil beyond the last.
    public func address(_ index: Int) -> String? {
        guard index >= 0, index < count else { return nil }
        return Self.dotted(first + UInt32(index))
    }
}

/// Where a service's virtual servers may be, and where they had better be.
public struct PlacementRule: Codable, Hashable, Sendable {
    public enum Strategy: String, Codable, Hashable, Sendable, CaseIterable {
        /// On the host with the most left: room to grow.
        case spread
        /// On the fullest host that still has room: hosts that stay empty can be switched off.
        case pack
    }

    public enum Affinity: String, Codable, Hashable, Sendable, CaseIterable {
        case none
        /// Preferred, given up where it cannot be had.
        case apart
        /// Never on one host, rather not at all.
        case strictlyApart = "strictly-apart"
        /// Preferred on one host.
        case together
    }

    public var strategy: Strategy
    /// Towards the instances of the same service.
    public var affinity: Affinity
    /// Labels that a host must have.
    public var hostLabels: [String: String]

    public init(strategy: Strategy = .spread, affinity: Affinity = .apart, hostLabels: [String: String] = [:]) {
        self.strategy = strategy
        self.affinity = affinity
        self.hostLabels = hostLabels
    }
}
