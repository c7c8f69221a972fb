public import CloudModel

/// The highest demand of each minute of the last two weeks (the history that AWS's predictive scaling looks at): what a
/// restarted control plane goes on from. Kept by day, so that a small part is written each time.
public struct DemandHistory: Hashable, Sendable {
    /// What the demand is measured in: values of another measure say nothing.
    public let measure: String
    private var days: [Day] = []

    public static let daysKept = 14
    static let minutesOfDay = 1_440

    private struct Day: Hashable {
        /// Since 1970.
        var number: Int64
        /// Of each minute, -1 where it is not known.
        var values = [Float](repeating: -1, count: minutesOfDay)
    }

    public init(measure: String) { self.measure = measure }

    /// Minutes since 1970; later than all before, or nothing happens: the clock may have been set back.
    mutating func note(_ demand: Double, minute: Int64) {
        guard minute >= 0, minute > (newestMinute ?? -1) else { return }
        let (number, place) = minute.quotientAndRemainder(dividingBy: Int64(Self.minutesOfDay))
        if days.last?.number != number { days.append(Day(number: number)) }
        days[days.count - 1].values[Int(place)] =
            Float((min(max(0, demand), DemandSample.largest) * 100).rounded()) / 100
        days.removeAll { number - $0.number >= Int64(Self.daysKept) }
    }

    func value(minute: Int64) -> Double? {
        let (number, place) = minute.quotientAndRemainder(dividingBy: Int64(Self.minutesOfDay))
        guard minute >= 0, let day = days.first(where: { $0.number == number }), day.values[Int(place)] >= 0 else {
            return nil
        }
        return Double(day.values[Int(place)])
    }

    var oldestMinute: Int64? { days.first.map { $0.number * Int64(Self.minutesOfDay) } }

    var newestMinute: Int64? {
        guard let day = days.last, let place = day.values.lastIndex(where: { $0 >= 0 }) else { return nil }
        return day.number * Int64(Self.minutesOfDay) + Int64(place)
    }

    // MARK: As it is stored

    /// The newest day, and the one of the places 0 to 13 that it is stored at.
    public var newestDay: (place: Int, text: String)? {
        guard let day = days.last else { return nil }
        return (Int(day.number % Int64(Self.daysKept)), Self.text(day, measure))
    }

    /// `1 MEASURE DAY VALUES`: the values in hundredths with commas between them, nothing where one is not known.
    private static func text(_ day: Day, _ measure: String) -> String {
        let values = day.values.map { $0 < 0 ? "" : String(Int(($0 * 100).rounded())) }
        return "1 \(measure) \(day.number) \(values.joined(separator: ","))"
    }

    /// From the days that were stored, in any order. What cannot be understood, is of another measure, in the future or
    /// too old is left out: without history everything still works.
    public init(measure: String, stored: [String], now: Timestamp) {
        self.init(measure: measure)
        let today = now.microseconds / 86_400_000_000
        for text in stored {
            let parts = text.split(separator: " ", omittingEmptySubsequences: false)
            guard parts.count == 4, parts[0] == "1", parts[1] == measure, let number = Int64(parts[2]),
                number <= today, today - number < Int64(Self.daysKept),
                !days.contains(where: { $0.number == number })
            else { continue }
            let fields = parts[3].split(separator: ",", omittingEmptySubsequences: false)
            guard fields.count == Self.minutesOfDay else { continue }
            var day = Day(number: number)
            for (place, field) in fields.enumerated() {
                if let value = Int(field), value >= 0 { day.values[place] = Float(value) / 100 }
            }
            days.append(day)
        }
        days.sort { $0.number < $1.number }
    }
}
