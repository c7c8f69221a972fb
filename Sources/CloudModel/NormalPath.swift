/// The one spelling of a request path that routes and audit rules are matched against, so that neither can be passed by
/// writing the same path differently. The path that is forwarded stays as the consumer wrote it.
///
/// Servers disagree on what a path means. Whatever some server could read as another path is therefore either folded
/// into one form, or refused with 400 where no fold is safe:
/// - Percent-escapes are decoded once (RFC 3986, section 6.2.2.2, taken further: reserved characters too), so `%6cogin`
///   is `login` and `%2f` and `%5c` separate segments as a server that decodes early has it.
/// - Empty segments and a slash at the end are dropped: `//a///b/` is `/a/b`.
/// - Path parameters are dropped from each segment: `/a;v=1/b` is `/a/b`. A separator written as an escape inside them
///   is refused, because servers differ on where the parameters end.
/// - Dot segments are refused in every spelling (`..`, `%2e%2e`, `..;x`): a client has no need to send them (RFC 3986,
///   section 5.2.4 has it remove them), and servers differ on which of them they resolve.
/// - Escapes that are none (`%zz`), control characters, also as escapes (`%00`), and raw backslashes are refused: no
///   valid target has them.
///
/// What is escaped twice (`%252e`) is decoded once only; it means a literal `%2e` to every server that follows the RFC.
public enum NormalPath {
    public enum Fault: String, Error, Hashable, Sendable, CaseIterable {
        /// It does not begin with `/`.
        case notAbsolute = "not-absolute"
        case dotSegment = "dot-segment"
        case malformedEscape = "malformed-escape"
        case controlCharacter = "control-character"
        case backslash
        /// A separator inside path parameters.
        case separatorInParameters = "separator-in-parameters"
        /// Longer than the scratch buffer.
        case tooLong = "too-long"
    }

    /// The normal form of `raw` (the target's path, without query). Gives back a part of `raw` where that is normal
    /// already, else a part of `scratch`: valid only as long as both. Never allocates. `scratch` must be as long as
    /// `raw`, or a path that needs rewriting is refused as too long.
    public static func normalise(_ raw: UnsafeRawBufferPointer, scratch: UnsafeMutableRawBufferPointer)
        throws(Fault) -> UnsafeRawBufferPointer
    {
        guard let first = raw.first, first == slash else { throw .notAbsolute }
        if isNormal(raw) { return raw }
        guard scratch.count >= raw.count else { throw .tooLong }
        var rewriter = Rewriter(out: scratch)
        var index = 1
        while index < raw.count {
            let byte = raw[index]
            index += 1
            if byte == percent {
                guard index + 1 < raw.count, let high = hexValue(raw[index]), let low = hexValue(raw[index + 1]) else {
                    throw .malformedEscape
                }
                index += 2
                try rewriter.takeEscaped(high << 4 | low)
            } else {
                try rewriter.takeLiteral(byte)
            }
        }
        try rewriter.endSegment()
        return rewriter.result
    }

    /// The normal form of a path that was configured; nil where no request can ever match it.
    public static func normalise(_ path: String) -> String? {
        var text = path
        return text.withUTF8 { bytes in
            withUnsafeTemporaryAllocation(byteCount: max(bytes.count, 1), alignment: 1) { scratch in
                let normal = try? normalise(UnsafeRawBufferPointer(bytes), scratch: scratch)
                return normal.map { String(decoding: $0, as: UTF8.self) }
            }
        }
    }

    /// Whether `path` needs no rewriting. One pass, so that the usual request pays nothing else.
    private static func isNormal(_ path: UnsafeRawBufferPointer) -> Bool {
        var previous = slash
        for index in 1..<max(path.count, 1) {
            let byte = path[index]
            if byte < 0x21 || byte == 0x7F || byte == percent || byte == semicolon || byte == backslash { return false }
            if previous == slash && (byte == slash || byte == dot) { return false }
            previous = byte
        }
        return path.count == 1 || previous != slash
    }

    private struct Rewriter {
        let out: UnsafeMutableRawBufferPointer
        var count = 0
        /// Where the segment that is being written begins: after its slash.
        var segmentStart = 1
        var inParameters = false

        init(out: UnsafeMutableRawBufferPointer) {
            self.out = out
            out[0] = slash
            count = 1
        }

        /// Without the slash at the end, except of the root.
        var result: UnsafeRawBufferPointer {
            let length = count > 1 && out[count - 1] == slash ? count - 1 : count
            return UnsafeRawBufferPointer(rebasing: out[..<length])
        }

        mutating func takeLiteral(_ byte: UInt8) throws(Fault) {
            switch byte {
            case slash: try endSegment()
            case semicolon: inParameters = true
            case backslash: throw .backslash
            default: try take(byte)
            }
        }

        mutating func takeEscaped(_ byte: UInt8) throws(Fault) {
            if byte == slash || byte == backslash {
                if inParameters { throw .separatorInParameters }
                try endSegment()
            } else {
                try take(byte)
            }
        }

        private mutating func take(_ byte: UInt8) throws(Fault) {
            if byte < 0x20 || byte == 0x7F { throw .controlCharacter }
            if inParameters { return }
            out[count] = byte
            count += 1
        }

        mutating func endSegment() throws(Fault) {
            let length = count - segmentStart
            inParameters = false
            if length == 0 { return }
            if out[segmentStart] == dot && (length == 1 || (length == 2 && out[segmentStart + 1] == dot)) {
                throw .dotSegment
            }
            if count < out.count {
                out[count] = slash
                count += 1
            }
            segmentStart = count
        }
    }

    private static func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }

    private static let slash = UInt8(ascii: "/")
    private static let backslash = UInt8(ascii: "\\")
    private static let percent = UInt8(ascii: "%")
    private static let semicolon = UInt8(ascii: ";")
    private static let dot = UInt8(ascii: ".")
}
