import CloudModel
import Foundation
import PayPerUse

/// The time zone database, as data for the pure rooms.
enum TimeZoneData {
    /// How far the zone's clocks are ahead of UTC, a year to either side of a time. Nil where there is no such zone.
    ///
    /// Asked day by day and then halved down to the second, since the database's own list of changes leaves out those
    /// that are not for daylight saving.
    static func offsets(of name: String, around time: Timestamp) -> ZoneOffsets? {
        guard let zone = TimeZone(identifier: name) else { return nil }
        func offset(_ second: Int64) -> Int64 {
            Int64(zone.secondsFromGMT(for: Date(timeIntervalSince1970: TimeInterval(second))))
        }
        let day: Int64 = 86_400
        let middle = time.microseconds / 1_000_000
        let first = middle - 366 * day
        var changes: [ZoneOffsets.Change] = []
        for start in stride(from: first, to: middle + 366 * day, by: Int(day)) {
            guard offset(start) != offset(start + day) else { continue }
            var (low, high) = (start, start + day)
            while high - low > 1 {
                let between = low + (high - low) / 2
                if offset(between) == offset(start) { low = between } else { high = between }
            }
            changes.append(
                ZoneOffsets.Change(at: Timestamp(microseconds: high * 1_000_000), offsetSeconds: offset(high)))
        }
        return ZoneOffsets(name: name, firstOffsetSeconds: offset(first), changes: changes)
    }
}
