public import CloudModel

/// The sizes that a service's virtual servers should have, by what each has used: when, and how far, sizes follow a
/// `ProcessorHistogram` or a `ThrottlingQuota`.
///
/// - Larger at once; smaller only to the largest size that was wanted in the whole window, and not within a window of
///   the server's last change (Kubernetes HPA's stabilisation). So a size does not flap.
/// - Never by less than a tenth (the updater of Kubernetes' Vertical Pod Autoscaler), and within the bounds.
/// - Without a reading nothing is wished for: no data is not zero.
public struct VerticalSizer: Sendable {
    private let kind: VerticalScaling
    /// Of all servers of the service: what one uses is what another will.
    private var histogram = ProcessorHistogram()
    private var servers: [InstanceID: Server] = [:]

    private struct Server {
        var quota: ThrottlingQuota
        var wanted = MaximumWindow()
        var since: Timestamp
        var lastAt: Timestamp
        var given: Int
        /// The readings of the minute that is under way.
        var minuteSum = 0.0
        var minuteCount = 0
        var minuteAt: Timestamp
    }

    /// What a server may have, in millicores.
    public struct Bounds: Hashable, Sendable {
        public var least: Int
        public var most: Int

        public init(least: Int, most: Int) {
            self.least = least
            self.most = max(least, most)
        }
    }

    /// No hypervisor that we know tells how often a quota throttled. A server that used more than this part of its
    /// quota over a reading is taken to have been throttled the more often the nearer it came to all of it.
    static let throttledFrom = 0.8
    /// A gap in the readings begins the window anew.
    private static let validity = TimeSpan.seconds(60)

    public init(_ kind: VerticalScaling) { self.kind = kind }

    /// - Parameters:
    ///   - used: millicores, on average since the last reading.
    ///   - given: millicores that it has, or is about to have.
    ///   - window: how long less must have been wanted before it gets less.
    /// - Returns: the millicores that it should have; nil where that is what it has.
    public mutating func size(
        of instance: InstanceID, used: Double, given: Int, _ bounds: Bounds, window: TimeSpan, at now: Timestamp
    ) -> Int? {
        var server =
            servers[instance]
            ?? Server(
                quota: ThrottlingQuota(quota: Double(given)), since: now, lastAt: now, given: given, minuteAt: now)
        if now - server.lastAt > Self.validity || server.given != given {
            server.since = now
            server.wanted = MaximumWindow()
        }
        server.lastAt = now
        server.given = given
        defer { servers[instance] = server }
        guard let target = target(&server, used: used, given: given, at: now) else { return nil }
        let wanted = min(max(target, bounds.least), bounds.most)
        server.wanted.add(wanted, at: now, length: window)
        if wanted * 10 >= given * 11 || (wanted > given && wanted == bounds.most) { return wanted }
        guard now - server.since >= window, given > bounds.most || server.wanted.maximum * 10 <= given * 9 else {
            return nil
        }
        return max(server.wanted.maximum, wanted)
    }

    /// What the value that is followed asks for now: what there is, where it asks for no change.
    private mutating func target(_ server: inout Server, used: Double, given: Int, at now: Timestamp) -> Int? {
        switch kind {
        case .demand: return nil
        case .histogram:
            // A sample a minute, as the VPA takes them: its confidence counts on that.
            server.minuteSum += used
            server.minuteCount += 1
            if now - server.minuteAt >= .minutes(1) {
                histogram.add(server.minuteSum / Double(server.minuteCount), given: Double(given), at: now)
                (server.minuteSum, server.minuteCount, server.minuteAt) = (0, 0, now)
            }
            return histogram.size.map { $0.change(from: given, atMost: .max) ?? given }
        case .throttling:
            server.quota.set(Double(given))
            server.quota.used(used)
            let part = used / Double(max(1, given))
            server.quota.decide(
                throttled: min(max((part - Self.throttledFrom) / (1 - Self.throttledFrom), 0), 1))
            return Int((server.quota.quota - 1e-6).rounded(.up))
        }
    }

    /// Forgets servers that are gone.
    public mutating func keep(_ instances: Set<InstanceID>) {
        servers = servers.filter { instances.contains($0.key) }
    }
}
