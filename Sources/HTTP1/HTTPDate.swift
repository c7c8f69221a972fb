/// IMF-fixdate (RFC 9110 section 5.6.7), as in `Sun, 06 Nov 1994 08:49:37 GMT`. A loop writes it once a second and
/// gives it to every response.
public enum HTTPDate {
    /// Octets of a date.
    public static let length = 29

    /// Writes the date of so many seconds since 1970-01-01T00:00:00Z, for the years 1970 to 9999.
    public static func write(unixSeconds: Int64, to writer: inout OctetWriter) {
        let seconds = min(max(unixSeconds, 0), 253_402_300_799)
        let days = Int(seconds / 86_400)
        let time = Int(seconds % 86_400)
        let (year, month, day) = civilDate(days)
        // 1970-01-01 was a Thursday.
        appendName(Self.weekdays, (days + 4) % 7, &writer)
        writer.append(", ")
        appendTwoDigits(day, &writer)
        writer.append(" ")
        appendName(Self.months, month - 1, &writer)
        writer.append(" ")
        appendTwoDigits(year / 100, &writer)
        appendTwoDigits(year % 100, &writer)
        writer.append(" ")
        appendTwoDigits(time / 3600, &writer)
        writer.append(":")
        appendTwoDigits(time / 60 % 60, &writer)
        writer.append(":")
        appendTwoDigits(time % 60, &writer)
        writer.append(" GMT")
    }

    private static var weekdays: StaticString { "SunMonTueWedThuFriSat" }
    private static var months: StaticString { "JanFebMarAprMayJunJulAugSepOctNovDec" }

    private static func appendName(_ names: StaticString, _ index: Int, _ writer: inout OctetWriter) {
        writer.append(UnsafeRawPointer(names.utf8Start + index * 3), 3)
    }

    private static func appendTwoDigits(_ number: Int, _ writer: inout OctetWriter) {
        writer.append(octet: UInt8(ascii: "0") + UInt8(number / 10 % 10))
        writer.append(octet: UInt8(ascii: "0") + UInt8(number % 10))
    }

    /// Day number since 1970-01-01 to year, month and day of the Gregorian calendar, counting years from March so that
    /// the leap day is the last of its year.
    private static func civilDate(_ days: Int) -> (year: Int, month: Int, day: Int) {
        // Days since 0000-03-01, in eras of 400 years.
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }
}
