package import CloudModel
import Foundation

/// Text in the forms that mail can carry.
package enum MailText {
    private static let longestHeaderText = 300
    private static let longestLine = 76

    /// Without line ends and other control characters, and not too long.
    package static func oneLine(_ text: String) -> String {
        let scalars = text.unicodeScalars.prefix(longestHeaderText).map { scalar in
            switch scalar.properties.generalCategory {
            case .control, .lineSeparator, .paragraphSeparator: Unicode.Scalar(0x20)!
            default: scalar
            }
        }
        var result = String.UnicodeScalarView()
        result.append(contentsOf: scalars)
        return String(result).split(separator: " ").joined(separator: " ")
    }

    /// A header of unstructured text: as it is where it is short ASCII, otherwise in encoded words (RFC 2047) on lines
    /// of their own.
    package static func header(_ name: String, _ text: String) -> String {
        let line = oneLine(text)
        let plain = "\(name): \(line)"
        if line.utf8.allSatisfy({ (0x20...0x7E).contains($0) }), !line.contains("=?"), plain.utf8.count <= longestLine {
            return plain
        }
        // 39 bytes are 52 of base64 and 12 of frame: with the longest name before it a line of 76 at most.
        var words: [Data] = [Data()]
        for scalar in line.unicodeScalars {
            let bytes = Data(String(scalar).utf8)
            if words[words.count - 1].count + bytes.count > 39 { words.append(Data()) }
            words[words.count - 1].append(bytes)
        }
        return "\(name):" + words.map { " =?UTF-8?B?\($0.base64EncodedString())?=" }.joined(separator: "\r\n")
    }

    /// RFC 2045, section 6.7. Any line end becomes CRLF.
    package static func quotedPrintable(_ text: String) -> String {
        let unified = text.replacingOccurrences(of: "\r\n", with: "\n").replacingOccurrences(of: "\r", with: "\n")
        return unified.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            quotedPrintable(line: Array(line.utf8))
        }.joined(separator: "\r\n")
    }

    private static func quotedPrintable(line: [UInt8]) -> String {
        var result = ""
        var length = 0
        for (index, byte) in line.enumerated() {
            let isLast = index == line.count - 1
            let isPlain =
                (0x21...0x7E).contains(byte) && byte != UInt8(ascii: "=")
                || (byte == 0x20 || byte == 0x09) && !isLast
            let piece =
                isPlain
                ? String(UnicodeScalar(byte)) : "=" + (byte < 16 ? "0" : "") + String(byte, radix: 16).uppercased()
            // One place is left for the sign that the line goes on.
            if length + piece.utf8.count > longestLine - 1 {
                result += "=\r\n"
                length = 0
            }
            result += piece
            length += piece.utf8.count
        }
        return result
    }

    /// `Tue, 24 Nov 2026 02:30:00 +0000`
    package static func date(_ time: Timestamp) -> String {
        var seconds = time_t(time.microseconds / 1_000_000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let clock = String(format: "%02d:%02d:%02d", parts.tm_hour, parts.tm_min, parts.tm_sec)
        let day = days[Int(parts.tm_wday)]
        let month = months[Int(parts.tm_mon)]
        return "\(day), \(parts.tm_mday) \(month) \(Int(parts.tm_year) + 1_900) \(clock) +0000"
    }
}
