import CloudModel

/// The controller's own time: passes as the given time does, but never goes back and never jumps.
///
/// The given time may be set (by hand, by NTP) and the control plane may be suspended or starved. Neither must make
/// every deadline fall due at once, or put all of them off: checks would fail by the clock, not by the instance. Since
/// the runtime comes back at the earliest deadline at the latest, time beyond it plus a margin was not lived through
/// and does not count.
struct SteadyClock: Sendable {
    private(set) var now = Timestamp.epoch
    private var given: Timestamp?

    /// How late the runtime may come for a deadline before the rest is taken for a jump.
    static let margin = TimeSpan.seconds(1)

    mutating func advance(to time: Timestamp, earliestDeadline: Timestamp?) {
        defer { given = time }
        guard let given else {
            now = time
            return
        }
        let elapsed = max(.zero, time - given)
        let longest = earliestDeadline.map { max(.zero, $0 - now) + Self.margin } ?? .hours(24)
        now = now + min(elapsed, longest)
    }

    /// A point of the steady time as a point of the given time.
    func inGivenTime(_ steady: Timestamp) -> Timestamp {
        guard let given else { return steady }
        return given + (steady - now)
    }
}
