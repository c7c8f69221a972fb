public import CloudModel

/// What a live migration by pre-copy costs, before it is begun (Clark et al., NSDI 2005; the geometric model of the
/// rounds is that of Akoush et al., MASCOTS 2010).
public struct PreCopyCost: Hashable, Sendable {
    /// Until it runs at the destination; nil where the copy never catches up.
    public var totalTime: TimeSpan?
    /// How long it runs nowhere.
    public var downtime: TimeSpan?
    public var rounds: Int

    /// - Parameters:
    ///   - memory: what is copied in the first round.
    ///   - dirtyBytesPerSecond: how much of it is written anew.
    ///   - bandwidthBytesPerSecond: how fast it is copied.
    ///   - maximumDowntime: the pause that the last round may take.
    public init(
        memory: ByteCount, dirtyBytesPerSecond: Int64, bandwidthBytesPerSecond: Int64, maximumDowntime: TimeSpan
    ) {
        let bandwidth = Double(max(1, bandwidthBytesPerSecond))
        let ratio = Double(max(0, dirtyBytesPerSecond)) / bandwidth
        var remaining = Double(memory.bytes) / bandwidth
        var total = 0.0
        rounds = 0
        // Thirty rounds are what hypervisors give up after.
        while remaining > maximumDowntime.inSeconds, rounds < 30, ratio < 1 {
            total += remaining
            remaining *= ratio
            rounds += 1
        }
        guard remaining <= maximumDowntime.inSeconds else {
            totalTime = nil
            downtime = nil
            return
        }
        totalTime = .microseconds(Int64((total + remaining) * 1_000_000))
        downtime = .microseconds(Int64(remaining * 1_000_000))
    }
}

/// Why a migration is not begun.
public enum MigrationRefusal: Error, Codable, Hashable, Sendable, CustomStringConvertible {
    case unknownInstance(InstanceID)
    case notRunning(InstanceID, String)
    case underWay(InstanceID)
    case sourceNotUsable(host: PhysicalServerID, phase: HostPhase)
    case unknownHost(PhysicalServerID)
    case noPlace([PlacementRejection])
    case tooMany(host: PhysicalServerID, limit: Int)
    case tooManyInAll(limit: Int)
    /// A disk is not on storage that both hosts see, and the hypervisor cannot copy it.
    case diskNotShared(path: String, host: PhysicalServerID)

    public var description: String {
        switch self {
        case .unknownInstance(let id): "'\(id)' is no instance on a virtual server; see `virtual-server list`"
        case .notRunning(let id, let state): "'\(id)' is \(state), not running"
        case .underWay(let id): "'\(id)' is being migrated already; wait until that has ended"
        case .sourceNotUsable(let host, let phase): "its host \(host) is \(phase.rawValue); wait until it is up"
        case .unknownHost(let host): "there is no physical server '\(host)'; see `physical-server list`"
        case .noPlace(let rejections): PlacementFailure(rejections: rejections).description
        case .tooMany(let host, let limit):
            "\(host) takes part in \(limit) migrations already, which is the limit; wait until one has ended"
        case .tooManyInAll(let limit):
            "\(limit) migrations are under way, which is the limit; wait until one has ended"
        case .diskNotShared(let path, let host): "\(path) is not shared with \(host), which cannot copy storage"
        }
    }
}
