public import CloudModel

/// The processor time of one virtual server, as its hypervisor counts it, and what is predicted from it.
public struct MeasuredLoad: Hashable, Sendable {
    private var lastUsed: TimeSpan?
    private var measuredAt: Timestamp?
    private var average: Double?
    private var latest = 0.0

    /// Of the average: after this long a change has half arrived.
    static let halfLife = TimeSpan.minutes(1)

    public init() {}

    /// Thousandths of a processor, for the minutes that come: what it uses on average, or just now if that is more. Nil
    /// without data, which is not zero.
    public var predictedMillicores: Int? { average.map { Int(max($0, latest).rounded(.up)) } }

    public mutating func measured(_ used: TimeSpan, at now: Timestamp) {
        defer {
            lastUsed = used
            measuredAt = now
        }
        // A counter that went back is that of another start.
        guard let lastUsed, let measuredAt, now > measuredAt, used >= lastUsed else { return }
        let elapsed = (now - measuredAt).inSeconds
        latest = (used - lastUsed).inSeconds / elapsed * 1_000
        guard let known = average else { return average = latest }
        // 2^(-elapsed / halfLife) without a library: the step is short beside the half-life, or forgets nearly all.
        let kept = max(0, 1 - 0.6931 * elapsed / Self.halfLife.inSeconds)
        average = known * kept + latest * (1 - kept)
    }

    /// The counter begins anew there.
    mutating func movedToAnotherHost() {
        lastUsed = nil
        measuredAt = nil
    }
}
