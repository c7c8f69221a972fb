/// A month in UTC: the part of the usage records that lies in one partition.
struct UsageMonth: Hashable, Sendable {
    var year: Int64
    /// From 1 on.
    var month: Int64

    private static let microsecondsOfDay: Int64 = 86_400_000_000
    /// Months outside of these years have no partition of their own: a clock that is wrong must not make thousands.
    static let years: Range<Int64> = 2_020..<2_100

    init(year: Int64, month: Int64) {
        self.year = year
        self.month = month
    }

    /// Nil outside of `years`.
    init?(containing microseconds: Int64) {
        guard microseconds >= Self.firstMicrosecond, microseconds < Self.lastMicrosecond else { return nil }
        // Days of the civil calendar: http://howardhinnant.github.io/date_algorithms.html (civil_from_days), for days
        // after 1970.
        let shifted = microseconds / Self.microsecondsOfDay + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    /// In microseconds since 1970.
    var start: Int64 {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = shiftedYear / 400
        let yearOfEra = shiftedYear % 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return (era * 146_097 + dayOfEra - 719_468) * Self.microsecondsOfDay
    }

    var next: UsageMonth {
        month == 12 ? UsageMonth(year: year + 1, month: 1) : UsageMonth(year: year, month: month + 1)
    }

    static let firstMicrosecond = UsageMonth(year: years.lowerBound, month: 1).start
    static let lastMicrosecond = UsageMonth(year: years.upperBound, month: 1).start

    /// The partition's table.
    var table: String { "usage_record_\(year)_\(month < 10 ? "0" : "")\(month)" }

    /// Makes the partition where it is missing. Attaching a table that was made before holds readers up for a moment,
    /// unlike making it in place, which would wait for all of them.
    func create(on connection: Connection) throws {
        guard !connection.months.contains(self) else { return }
        let known = try connection.run(
            """
            SELECT 1 FROM pg_inherits WHERE inhparent = 'usage_record'::regclass AND inhrelid = to_regclass($1)
            """, table)
        if known.count == 0 {
            try connection.command(
                """
                CREATE TABLE \(table) (LIKE usage_record INCLUDING DEFAULTS);
                \(Schema.usageKeys(of: table))
                ALTER TABLE usage_record ATTACH PARTITION \(table) FOR VALUES FROM (\(start)) TO (\(next.start));
                """)
        }
        connection.months.insert(self)
    }
}
