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
