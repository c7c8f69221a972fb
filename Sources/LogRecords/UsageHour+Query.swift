package import CloudPorts

extension UsageHour {
    /// The hours that lie wholly in the query's time; nil where a period is not made of whole hours, or there is none.
    /// A nil end is open.
    package static func wholeHours(of query: UsageQuery) -> (from: Int64?, until: Int64?)? {
        let hour = microseconds
        if let period = query.period, period.microseconds % hour != 0 { return nil }
        func floor(_ value: Int64) -> Int64 {
            let rest = value % hour
            return value - (rest < 0 ? rest + hour : rest)
        }
        // Beyond these, rounding to an hour would overflow; no record is there.
        let bounds = (Int64.min / 2)...(Int64.max / 2)
        let from = query.from.map { floor(min(max($0.microseconds, bounds.lowerBound), bounds.upperBound) + hour - 1) }
        let until = query.until.map { floor(min(max($0.microseconds, bounds.lowerBound), bounds.upperBound)) }
        if let from, let until, from >= until { return nil }
        return (from, until)
    }
}
