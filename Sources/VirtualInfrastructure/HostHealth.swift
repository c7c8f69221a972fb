public import CloudModel

/// What becomes of a physical server that does not answer.
public enum HostPhase: String, Codable, Hashable, Sendable, CaseIterable {
    /// Declared; has not said yet what it has, or has something that nobody counts.
    case unknown
    case up
    /// Does not answer since a moment ago: no conclusion yet.
    case suspect
    /// By every kind of evidence it is gone; it is not proven off yet.
    case confirmed
    /// It is being proven off.
    case fencing
    /// Proven off: what ran on it may be started elsewhere.
    case fenced
    /// Answers again and is rid of what it ran before it may be used.
    case recovering
}

/// Tells a dead physical server from one that is merely not heard, and says when it is safe to start its virtual
/// servers elsewhere. Times are of a clock that never goes back.
///
/// Several kinds of evidence have to agree before a host is given up: its hypervisor's connection is lost and does not
/// come back, and none of the services on it answers by the network that consumers use. A host whose services answer
/// is left alone, however long its hypervisor is silent: switching it off would be the failure.
public struct HostHealth: Codable, Hashable, Sendable {
    public struct Settings: Codable, Hashable, Sendable {
        /// From the loss of the connection to the conclusion. Three keepalives of one second are lost by then.
        public var confirmAfter: TimeSpan
        /// A service on it that answered this recently speaks for it.
        public var evidenceLasts: TimeSpan

        public init(confirmAfter: TimeSpan = .seconds(2), evidenceLasts: TimeSpan = .seconds(3)) {
            self.confirmAfter = confirmAfter
            self.evidenceLasts = evidenceLasts
        }
    }

    public private(set) var phase: HostPhase = .unknown
    /// The hypervisor's connection stands. Whoever is connected is neither suspected nor taken for gone, except while a
    /// fence is on its way that may still strike.
    public private(set) var isConnected = false
    public var settings: Settings
    /// When the connection was lost.
    public private(set) var silentSince: Timestamp?
    /// When it was last heard in any way.
    public private(set) var lastHeard: Timestamp?
    private var lastServiceAnswer: Timestamp?

    public init(settings: Settings = .init()) { self.settings = settings }

    /// The hypervisor answers. One that had been given up has to be cleaned before it is used.
    public mutating func connected(at now: Timestamp) {
        lastHeard = now
        silentSince = nil
        isConnected = true
        switch phase {
        case .fenced, .recovering: phase = .recovering
        // It may have been given up by an earlier life of the control plane: what it has says so.
        case .unknown: break
        case .up, .suspect, .confirmed: phase = .up
        // The fence is on its way: it is believed off until that has ended, and off it will be.
        case .fencing: break
        }
    }

    /// It has said what it has, and all of it is counted.
    public mutating func tookStock() { if phase == .unknown { phase = .up } }

    /// It is known to have had virtual servers, and has not answered since this control plane began.
    public mutating func expected(at time: Timestamp) {
        guard phase == .unknown, !isConnected else { return }
        phase = .suspect
        silentSince = time
    }

    public mutating func heard(at now: Timestamp) { lastHeard = max(lastHeard ?? now, now) }

    public mutating func disconnected(at now: Timestamp) {
        isConnected = false
        silentSince = silentSince ?? now
        switch phase {
        case .up: phase = .suspect
        // What it still has is not counted any more: it stays given up, and is cleaned when it is back.
        case .recovering: phase = .fenced
        case .unknown, .suspect, .confirmed, .fencing, .fenced: break
        }
    }

    /// One of its services passed a check or answered a request.
    public mutating func serviceAnswered(at now: Timestamp) {
        lastServiceAnswer = now
        heard(at: now)
        if phase == .confirmed { phase = .suspect }
    }

    /// Each of its services has failed a check since its connection was lost: what they answered before says nothing.
    public mutating func servicesFailed() { lastServiceAnswer = nil }

    /// Whether the evidence suffices by now.
    public mutating func conclude(at now: Timestamp) {
        guard phase == .suspect, let due = confirmationDue, due <= now else { return }
        phase = .confirmed
    }

    /// When `conclude` is to be asked again; nil where nothing is pending.
    public var confirmationDue: Timestamp? {
        guard phase == .suspect, let silentSince else { return nil }
        let byService = lastServiceAnswer.map { $0 + settings.evidenceLasts } ?? .epoch
        return max(silentSince + settings.confirmAfter, byService)
    }

    public mutating func beginFencing() { if phase == .confirmed { phase = .fencing } }

    /// The fence failed: nothing is proven. One that has been back since before that was never off, and is as good as
    /// any: nothing was started elsewhere.
    public mutating func fencingFailed() { if phase == .fencing { phase = isConnected ? .up : .confirmed } }

    /// It is proven to have been off. One that is connected has been switched on again before that was known, and is
    /// taken back by `tookBack`, once what ran on it is given up.
    public mutating func fenced() {
        if phase == .fencing || phase == .confirmed || phase == .suspect { phase = .fenced }
    }

    /// What ran on it is given up.
    /// - Returns: whether it is connected already, and now has to be cleaned.
    public mutating func tookBack() -> Bool {
        guard phase == .fenced, isConnected else { return false }
        phase = .recovering
        return true
    }

    /// It holds nothing of before any more.
    public mutating func cleaned() { if phase == .recovering { phase = .up } }
}

/// Whether hosts may be switched off now. Several at once are more likely lost to us than dead: then a person decides
/// (oVirt's "skip fencing if cluster connectivity is broken" asks the same).
public struct FencingGuard: Sendable {
    /// How many of the hosts may be unreachable at once for fencing to go on by itself: fewer than half, and always one
    /// where there are at least two.
    public static func permits(unreachable: Int, of hosts: Int) -> Bool {
        unreachable >= 1 && hosts >= 2 && (unreachable == 1 || unreachable * 2 < hosts)
    }
}
