package import AdministrationAPI
package import CloudModel

/// How values are shown to people.
package enum Formats {
    /// To the second, in UTC: `2026-11-24 02:30:05`.
    package static func time(_ moment: Moment?) -> String {
        guard let moment, let time = Timestamp(rfc3339: moment.rfc3339) else { return "-" }
        return String(time.rfc3339.prefix(19)).replacing("T", with: " ")
    }

    /// To the millisecond: `02:30:05.123`.
    package static func clock(_ moment: Moment?) -> String {
        guard let moment, let time = Timestamp(rfc3339: moment.rfc3339) else { return "-" }
        return String(time.rfc3339.dropFirst(11).prefix(12))
    }

    /// `+0.000 s`, or minutes and seconds beyond two minutes.
    package static func sinceStart(_ microseconds: Int64?) -> String {
        guard let microseconds else { return "-" }
        return (microseconds < 0 ? "" : "+") + seconds(microseconds, decimals: 6)
    }

    /// `850 us`, `12.3 ms`, `1.25 s`, `2 min 5 s`, `3 h 20 min`, `4 d 6 h`.
    package static func duration(microseconds: Int64) -> String {
        let total = microseconds / 1_000_000
        switch total {
        case 0 where microseconds == 0: return "0 s"
        case 0 where microseconds < 1_000: return "\(microseconds) us"
        case 0: return "\(rounded(Double(microseconds) / 1_000, decimals: 1)) ms"
        case ..<120: return seconds(microseconds, decimals: 2)
        case ..<7_200: return "\(total / 60) min \(total % 60) s"
        case ..<172_800: return "\(total / 3_600) h \(total % 3_600 / 60) min"
        default: return "\(total / 86_400) d \(total % 86_400 / 3_600) h"
        }
    }

    /// In binary units with one decimal: `1.5 MiB`.
    package static func bytes(_ count: some BinaryInteger) -> String {
        var value = Double(count)
        for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
            if value < 1_024 || unit == "TiB" {
                return unit == "B" ? "\(count) B" : "\(rounded(value, decimals: 1)) \(unit)"
            }
            value /= 1_024
        }
        return "\(count) B"
    }

    /// An exact number of resource seconds as hours of a unit, to a thousandth; `-` for text that is no number.
    package static func hours(ofSeconds text: String, per unit: Double) -> String {
        guard let seconds = Double(text) else { return "-" }
        return rounded(seconds / unit / 3_600, decimals: 3)
    }

    private static func seconds(_ microseconds: Int64, decimals: Int) -> String {
        "\(rounded(Double(microseconds) / 1_000_000, decimals: decimals)) s"
    }

    private static func rounded(_ value: Double, decimals: Int) -> String {
        var scale = 1
        for _ in 0..<decimals { scale *= 10 }
        let scaled = Int64((value * Double(scale)).rounded())
        let sign = scaled < 0 ? "-" : ""
        let fraction = String(scaled.magnitude % UInt64(scale))
        return "\(sign)\(scaled.magnitude / UInt64(scale))."
            + String(repeating: "0", count: decimals - fraction.count) + fraction
    }

    package static func state(_ instance: API.Instance) -> Table.Cell {
        switch (instance.phase, instance.operational) {
        case (.running, .up): Table.Cell("up", .good)
        case (.running, .down), (.failed, _): Table.Cell(instance.phase == .failed ? "failed" : "down", .bad)
        case (.running, .checking): Table.Cell("checking", .doubtful)
        default: Table.Cell(instance.phase.rawValue, .doubtful)
        }
    }

    package static func state(_ operation: API.Operation) -> Table.Cell {
        switch operation.state {
        case .running: Table.Cell("running", .doubtful)
        case .succeeded: Table.Cell("succeeded", .good)
        case .failed: Table.Cell("failed", .bad)
        }
    }
}

/// Lengths and points of time as people type them.
package enum TypedTime {
    /// `90s`, `15m`, `2h`, `7d`; nil where the text is none.
    package static func span(_ text: String) -> TimeSpan? {
        let seconds: [Character: Int64] = ["s": 1, "m": 60, "h": 3_600, "d": 86_400]
        guard let unit = text.last, let factor = seconds[unit], let count = Int64(text.dropLast()), count > 0,
            count <= 100_000_000
        else { return nil }
        return .seconds(count * factor)
    }

    /// RFC 3339, a date, or a length of time before `now`; nil where the text is none of them.
    package static func past(_ text: String, now: Timestamp) -> Timestamp? {
        Timestamp(rfc3339: text) ?? Timestamp(rfc3339: text + "T00:00:00Z") ?? span(text).map { now - $0 }
    }

    /// RFC 3339, a date, or a length of time after `now`; nil where the text is none of them.
    package static func future(_ text: String, now: Timestamp) -> Timestamp? {
        Timestamp(rfc3339: text) ?? Timestamp(rfc3339: text + "T00:00:00Z") ?? span(text).map { now + $0 }
    }
}
