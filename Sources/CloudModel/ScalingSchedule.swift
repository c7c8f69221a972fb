/// At least so many instances at certain times of the week, whatever the load (AWS Auto Scaling's scheduled actions).
/// Times are in UTC: they do not move when daylight saving begins or ends.
public struct ScalingSchedule: Codable, Hashable, Sendable {
    public enum Day: String, Codable, Hashable, Sendable, CaseIterable {
        case monday, tuesday, wednesday, thursday, friday, saturday, sunday
    }

    /// The days on which it begins; empty: every day.
    public var days: [Day]
    public var from: TimeOfDay
    /// Not after `from`: on the next day.
    public var until: TimeOfDay
    public var minimumInstances: Int

    public init(days: [Day] = [], from: TimeOfDay, until: TimeOfDay, minimumInstances: Int) {
        self.days = days
        self.from = from
        self.until = until
        self.minimumInstances = minimumInstances
    }

    public func applies(at time: Timestamp) -> Bool {
        let minute = time.microseconds.flooredQuotient(by: 60_000_000)
        let day = minute.flooredQuotient(by: TimeOfDay.minutesPerDay)
        let ofDay = minute - day * TimeOfDay.minutesPerDay
        if from < until { return begins(onDay: day) && (from.minute..<until.minute).contains(ofDay) }
        return (ofDay >= from.minute && begins(onDay: day)) || (ofDay < until.minute && begins(onDay: day - 1))
    }

    /// `day` counts from 1970-01-01, which was a Thursday.
    private func begins(onDay day: Int64) -> Bool {
        let weekday = (day + 3) - (day + 3).flooredQuotient(by: 7) * 7
        return days.isEmpty || days.contains(Day.allCases[Int(weekday)])
    }
}

/// A minute of a day, as `08:00`.
public struct TimeOfDay: Codable, Hashable, Sendable, Comparable {
    static let minutesPerDay: Int64 = 24 * 60

    /// 0 to 1439.
    public let minute: Int64

    public static let midnight = TimeOfDay(minute: 0)

    private init(minute: Int64) { self.minute = minute }

    /// Nil where the text is not two digits from 00 to 23, a colon, and two digits from 00 to 59.
    public init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
        guard parts.count == 2, parts.allSatisfy({ $0.utf8.count == 2 && $0.utf8.allSatisfy(digits.contains) }),
            let hour = Int64(parts[0]), let rest = Int64(parts[1]), hour < 24, rest < 60
        else { return nil }
        minute = hour * 60 + rest
    }

    public var text: String {
        func twoDigits(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return "\(twoDigits(minute / 60)):\(twoDigits(minute % 60))"
    }

    public static func < (left: TimeOfDay, right: TimeOfDay) -> Bool { left.minute < right.minute }
}

extension Int64 {
    /// Rounded down, also below zero.
    fileprivate func flooredQuotient(by divisor: Int64) -> Int64 {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}
