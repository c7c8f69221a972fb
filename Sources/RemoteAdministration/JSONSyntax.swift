/// Finds where a text stops being JSON (RFC 8259): the decoder only says that it does.
package struct JSONSyntax {
    package struct Fault: Hashable, Sendable, CustomStringConvertible {
        /// From 1; the column in bytes.
        package var line: Int
        package var column: Int
        package var expected: String

        package init(line: Int, column: Int, expected: String) {
            self.line = line
            self.column = column
            self.expected = expected
        }

        package var description: String { "line \(line), column \(column): expected \(expected)" }
    }

    private struct Unexpected: Error {
        var expected: String
    }

    private static let maximumDepth = 128

    private let bytes: [UInt8]
    private var position = 0

    private init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Nil where the text is JSON.
    package static func fault(in bytes: [UInt8]) -> Fault? {
        var syntax = JSONSyntax(bytes)
        do throws(Unexpected) {
            try syntax.value(depth: 0)
            syntax.skipSpace()
            guard syntax.position == bytes.count else { throw Unexpected(expected: "the end") }
            return nil
        } catch {
            let before = bytes[..<min(syntax.position, bytes.count)]
            let lineStart = before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
            return Fault(
                line: before.count { $0 == 0x0A } + 1, column: before.count - lineStart + 1, expected: error.expected)
        }
    }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { position += 1 }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard next == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func value(depth: Int) throws(Unexpected) {
        guard depth < Self.maximumDepth else { throw Unexpected(expected: "less nesting") }
        skipSpace()
        switch next {
        case UInt8(ascii: "{"): try list(until: "}", depth: depth, isObject: true)
        case UInt8(ascii: "["): try list(until: "]", depth: depth, isObject: false)
        case UInt8(ascii: "\""): try string()
        case UInt8(ascii: "t"): try word("true")
        case UInt8(ascii: "f"): try word("false")
        case UInt8(ascii: "n"): try word("null")
        case UInt8(ascii: "-"), .some(0x30...0x39): try number()
        default: throw Unexpected(expected: "a value")
        }
    }

    private mutating func list(until end: Unicode.Scalar, depth: Int, isObject: Bool) throws(Unexpected) {
        position += 1
        skipSpace()
        if take(end) { return }
        repeat {
            if isObject {
                skipSpace()
                guard next == UInt8(ascii: "\"") else { throw Unexpected(expected: "a name in double quotes") }
                try string()
                skipSpace()
                guard take(":") else { throw Unexpected(expected: "':'") }
            }
            try value(depth: depth + 1)
            skipSpace()
        } while take(",")
        guard take(end) else { throw Unexpected(expected: "',' or '\(end)'") }
    }

    private mutating func string() throws(Unexpected) {
        position += 1
        while let byte = next {
            guard byte >= 0x20 else { throw Unexpected(expected: "an escape instead of a control character") }
            position += 1
            if byte == UInt8(ascii: "\"") { return }
            guard byte == UInt8(ascii: "\\") else { continue }
            guard let escape = next, "\"\\/bfnrtu".utf8.contains(escape) else {
                throw Unexpected(expected: "one of \" \\ / b f n r t u after a backslash")
            }
            position += 1
            guard escape == UInt8(ascii: "u") else { continue }
            for _ in 0..<4 {
                guard let digit = next, isHexDigit(digit) else { throw Unexpected(expected: "four hex digits") }
                position += 1
            }
        }
        throw Unexpected(expected: "the closing '\"'")
    }

    private mutating func word(_ word: String) throws(Unexpected) {
        for byte in word.utf8 {
            guard next == byte else { throw Unexpected(expected: word) }
            position += 1
        }
    }

    private mutating func number() throws(Unexpected) {
        _ = take("-")
        if !take("0") { try digits() }
        if take(".") { try digits() }
        if take("e") || take("E") {
            if !take("+") { _ = take("-") }
            try digits()
        }
    }

    private mutating func digits() throws(Unexpected) {
        guard let first = next, (0x30...0x39).contains(first) else { throw Unexpected(expected: "a digit") }
        while let digit = next, (0x30...0x39).contains(digit) { position += 1 }
    }

    private func isHexDigit(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x46).contains(byte) || (0x61...0x66).contains(byte)
    }
}
