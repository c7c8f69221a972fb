public import CloudModel

/// Locks a principal out at one address after too many failures in a row there.
///
/// The pair is what is locked: guesses from elsewhere never keep the principal out where it is, and its success where
/// it is does not free whoever guesses elsewhere.
public struct LoginLockout: Sendable {
    public struct Settings: Codable, Hashable, Sendable {
        /// Failures in a row that lock the pair.
        public var failures: Int
        /// How long; a failure that is older does not count any more.
        public var duration: TimeSpan

        public init(failures: Int = 5, duration: TimeSpan = .minutes(10)) {
            self.failures = failures
            self.duration = duration
        }
    }

    private struct Pair: Hashable {
        var principal: String
        var network: String

        var text: String { "\(network) \(principal)" }
    }

    private struct Count {
        var failures: Int
        var lastAt: Timestamp
    }

    /// Pairs that are told apart; beyond, those whose last failure is oldest are forgotten.
    package static let mostPairs = 16_384

    /// Nil: nobody is locked out.
    public let settings: Settings?
    private var counts: [Pair: Count] = [:]

    public init(_ settings: Settings?) { self.settings = settings }

    package var pairCount: Int { counts.count }

    /// Until when the pair is locked; nil where it is not. An attempt while it is locked prolongs nothing.
    public func lockedUntil(_ principal: String, from address: String, at now: Timestamp) -> Timestamp? {
        guard let settings, let count = counts[pair(principal, address)], count.failures >= settings.failures
        else { return nil }
        let end = count.lastAt + settings.duration
        return now < end ? end : nil
    }

    public mutating func failed(_ principal: String, from address: String, at now: Timestamp) {
        guard let settings, lockedUntil(principal, from: address, at: now) == nil else { return }
        makeRoom(at: now, settings)
        let pair = pair(principal, address)
        var failures = 1
        if let before = counts[pair], before.failures < settings.failures, now - before.lastAt < settings.duration {
            failures += before.failures
        }
        counts[pair] = Count(failures: failures, lastAt: now)
    }

    public mutating func succeeded(_ principal: String, from address: String) {
        counts[pair(principal, address)] = nil
    }

    private func pair(_ principal: String, _ address: String) -> Pair {
        Pair(principal: principal, network: SourceNetwork.of(address))
    }

    private mutating func makeRoom(at now: Timestamp, _ settings: Settings) {
        guard counts.count >= Self.mostPairs else { return }
        counts = counts.filter { now - $0.value.lastAt < settings.duration }
        guard counts.count >= Self.mostPairs else { return }
        for (pair, _) in counts.sorted(by: { ($0.value.lastAt, $0.key.text) < ($1.value.lastAt, $1.key.text) }).prefix(
            Self.mostPairs / 4)
        {
            counts[pair] = nil
        }
    }
}

/// The lockouts of all login rules, by their settings: rules that lock out alike count together, each service for
/// itself.
///
/// Bounded as each of them is: whoever changes a rule's settings again and again loses the counts of the oldest ones.
public struct RuleLockouts: Sendable {
    static let mostSettings = 16

    private var lockouts: [(rule: LoginRule.Lockout, lockout: LoginLockout)] = []

    public init() {}

    package var settingsCount: Int { lockouts.count }

    /// Until when a principal is kept from a service at an address; nil where it is not.
    public func lockedUntil(
        _ principal: String, of service: ServiceID, from address: String, under rule: LoginRule.Lockout,
        at now: Timestamp
    ) -> Timestamp? {
        lockouts.first { $0.rule == rule }?.lockout.lockedUntil(Self.name(principal, service), from: address, at: now)
    }

    /// Takes what became of a login that a rule with a lockout names. What was answered by nobody, or refused before
    /// the service had it, says nothing of who tried.
    public mutating func take(_ event: AuditEvent, under rule: LoginRule.Lockout) {
        guard !event.principal.isEmpty, event.forwardedAt != nil, event.outcome != .unknown else { return }
        let index = index(of: rule)
        let name = Self.name(event.principal, event.service)
        if event.outcome == .success {
            lockouts[index].lockout.succeeded(name, from: event.sourceAddress)
        } else {
            lockouts[index].lockout.failed(name, from: event.sourceAddress, at: event.respondedAt)
        }
    }

    private mutating func index(of rule: LoginRule.Lockout) -> Int {
        if let index = lockouts.firstIndex(where: { $0.rule == rule }) { return index }
        if lockouts.count >= Self.mostSettings { lockouts.removeFirst() }
        let settings = LoginLockout.Settings(failures: rule.failures, duration: rule.duration)
        lockouts.append((rule, LoginLockout(settings)))
        return lockouts.count - 1
    }

    /// A service's name is a label: it has no slash.
    private static func name(_ principal: String, _ service: ServiceID) -> String { "\(service)/\(principal)" }
}
