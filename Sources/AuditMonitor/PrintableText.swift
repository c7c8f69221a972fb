/// Text of strangers, made fit for logs and terminals.
public enum PrintableText {
    /// No principal, user agent or path is stored longer; one that was cut ends in `…`.
    public static let longestText = 256

    /// `text` with everything escaped as `\u{…}` that is not to be seen or that moves what is seen: control and format
    /// characters (the bidirectional overrides among them), line and paragraph separators. Of a text longer than
    /// `longestText` bytes as many whole characters as fit.
    public static func escaped(_ text: some StringProtocol) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            let shown = isVisible(scalar) ? String(scalar) : "\\u{\(String(scalar.value, radix: 16))}"
            guard result.utf8.count + shown.utf8.count <= longestText else { return result + "…" }
            result += shown
        }
        return result
    }

    /// The same of bytes that should be UTF-8; what is not becomes U+FFFD.
    public static func escaped(_ bytes: UnsafeRawBufferPointer) -> String {
        // Decodes no more than can be shown, whatever a stranger sends.
        let shown = UnsafeRawBufferPointer(rebasing: bytes.prefix(longestText + 4))
        let text = escaped(String(decoding: shown, as: UTF8.self))
        return bytes.count > shown.count && !text.hasSuffix("…") ? text + "…" : text
    }

    private static func isVisible(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return scalar.value >= 0x20 && scalar.value != 0x7F }
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: return false
        default: return true
        }
    }
}
