import AuditMonitor
package import CloudModel

/// How many failed attempts are written down, and from which on a source is told to slow down.
///
/// A valid token is never refused because of other people's failures from the same address (a proxy, a shared office):
/// only failed attempts are answered with 429 instead of 401. Guessing gains nothing from being let go on, a token has
/// more than 128 random bits; what is limited is the flood in the audit log and the work it makes.
package struct FailureLimiter: Sendable {
    package struct Verdict: Hashable, Sendable {
        /// Whether the attempt goes into the audit log.
        package var record: Bool
        /// Seconds until the source may try again; nil while it may.
        package var retryAfterSeconds: Int64?

        package init(record: Bool, retryAfterSeconds: Int64? = nil) {
            self.record = record
            self.retryAfterSeconds = retryAfterSeconds
        }
    }

    private struct Window {
        var begin: Timestamp
        var failures = 0
    }

    /// The length of a counting window.
    static let window = TimeSpan.seconds(60)
    /// Failures of one source in a window that are each recorded; the next is recorded as the last one.
    static let perSource = 10
    /// Failures of all sources in a window that are recorded.
    static let overall = 600
    /// Sources that are told apart; beyond, the rest share one count.
    static let maximumSources = 4_096

    private var sources: [String: Window] = [:]
    private var all = Window(begin: .epoch)
    /// Attempts that were not recorded since the start.
    package private(set) var suppressed: UInt64 = 0

    package init() {}

    package var sourceCount: Int { sources.count }

    package mutating func failure(from source: String, at now: Timestamp) -> Verdict {
        let key = keyForCounting(source, at: now)
        let count = Self.count(&sources[key, default: Window(begin: now)], at: now)
        let total = Self.count(&all, at: now)
        let isRecorded = count <= Self.perSource + 1 && total <= Self.overall
        if !isRecorded { suppressed += 1 }
        guard count > Self.perSource, let begin = sources[key]?.begin else { return Verdict(record: isRecorded) }
        let rest = begin + Self.window - now
        return Verdict(record: isRecorded, retryAfterSeconds: max(1, (rest.millisecondsRoundedUp + 999) / 1_000))
    }

    /// Seconds until the source may try again; nil while it may. Counts nothing.
    package func retryAfterSeconds(for source: String, at now: Timestamp) -> Int64? {
        let key = SourceNetwork.of(source)
        guard let window = sources[key], window.failures >= Self.perSource, now >= window.begin else { return nil }
        let rest = window.begin + Self.window - now
        return rest > .zero ? max(1, (rest.millisecondsRoundedUp + 999) / 1_000) : nil
    }

    private static func count(_ window: inout Window, at now: Timestamp) -> Int {
        if now - window.begin >= Self.window || now < window.begin { window = Window(begin: now) }
        window.failures += 1
        return window.failures
    }

    /// IPv6 hosts are counted by their /64: a host has all of it to itself.
    private mutating func keyForCounting(_ source: String, at now: Timestamp) -> String {
        let key = SourceNetwork.of(source)
        if sources[key] != nil || sources.count < Self.maximumSources { return key }
        sources = sources.filter { now - $0.value.begin < Self.window }
        return sources.count < Self.maximumSources ? key : ""
    }
}
