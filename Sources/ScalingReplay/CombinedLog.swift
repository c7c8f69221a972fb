public import CloudModel

/// One line of an access log in the common or combined format (Apache's, nginx's). Where a number follows the last
/// quote, it is the time that the request took, in seconds (nginx's `$request_time`).
public enum CombinedLog {
    public struct Entry: Hashable, Sendable {
        /// When the request ended or, for servers that write this, began.
        public var at: Timestamp
        public var seconds: Double?
    }

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// Nil where the line is none of this format.
    public static func entry(_ line: Substring) -> Entry? {
        guard let open = line.firstIndex(of: "["), let close = line[open...].firstIndex(of: "]"),
            let at = time(line[line.index(after: open)..<close])
        else { return nil }
        var seconds: Double?
        if let quote = line.lastIndex(of: "\""), quote > close {
            let rest = line[line.index(after: quote)...].split(separator: " ")
            // After the request alone come status and size: the common format.
            if line[close...].filter({ $0 == "\"" }).count >= 4, let first = rest.first { seconds = Double(first) }
        }
        return Entry(at: at, seconds: seconds)
    }

    /// `10/Oct/2000:13:55:36 -0700`.
    private static func time(_ text: Substring) -> Timestamp? {
        let parts = text.split(separator: " ")
        guard parts.count == 2, parts[1].utf8.count == 5 else { return nil }
        let fields = parts[0].split(separator: ":")
        let date = fields.first?.split(separator: "/") ?? []
        guard fields.count == 4, date.count == 3, let month = months.firstIndex(of: String(date[1])) else { return nil }
        let number = month + 1
        let zone = "\(parts[1].prefix(3)):\(parts[1].suffix(2))"
        return Timestamp(
            rfc3339:
                "\(date[2])-\(number < 10 ? "0" : "")\(number)-\(date[0])T\(fields[1]):\(fields[2]):\(fields[3])\(zone)"
        )
    }
}
