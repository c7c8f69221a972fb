/// When a delivery that failed is tried again: the pauses that the Standard Webhooks specification suggests (5 s, 5
/// min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h: about three days in all), each with jitter, and then never again.
public struct DeliverySchedule: Hashable, Sendable {
    /// The pause after the first attempt, after the second, and so on.
    public var pauses: [TimeSpan]
    /// Each pause is drawn from this much below to this much above its length, so that what failed together is not
    /// tried again together.
    public var jitterPercent: Int

    public static let standardWebhooks: [TimeSpan] = [
        .seconds(5), .minutes(5), .minutes(30), .hours(2), .hours(5), .hours(10), .hours(14), .hours(20), .hours(24),
    ]

    public init(pauses: [TimeSpan] = standardWebhooks, jitterPercent: Int = 20) {
        self.pauses = pauses
        self.jitterPercent = min(max(jitterPercent, 0), 100)
    }

    /// Attempts before a delivery is given up.
    public var maximumAttempts: Int { pauses.count + 1 }

    /// The longest time from the first attempt to the last.
    public var longestDuration: TimeSpan {
        let sum = pauses.reduce(.zero, +)
        return sum + TimeSpan(microseconds: sum.microseconds / 100 * Int64(jitterPercent))
    }

    /// How long to wait after so many attempts (1 after the first); nil where it is time to give up.
    public func pause(
        afterAttempt attempts: Int, random: inout some RandomNumberGenerator
    ) -> TimeSpan? {
        guard attempts >= 1, attempts <= pauses.count else { return nil }
        let pause = pauses[attempts - 1].microseconds
        let spread = pause / 100 * Int64(jitterPercent)
        return TimeSpan(microseconds: Int64.random(in: (pause - spread)...(pause + spread), using: &random))
    }
}
