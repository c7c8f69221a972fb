import Credentials

/// Finds top-level fields of a JSON object (RFC 8259) without building anything else of it: strict, in one pass, and
/// bounded in depth, so that nobody gains by what they send.
struct JSONFieldScanner {
    /// Where a field's value is.
    struct Field {
        var kind: Kind
        /// Of a string, without its quotes.
        var range: Range<Int>

        enum Kind {
            case string, number, boolean, null, container
        }
    }

    enum Ending {
        /// One object and nothing behind it.
        case whole
        /// It stops in the middle of an object that is well-formed so far.
        case endsEarly
        case malformed
    }

    /// By index of the wanted name: the last one found.
    private(set) var fields: [Field?] = []
    private(set) var occurrences: [Int] = []

    private let bytes: UnsafeRawBufferPointer
    private var position = 0

    private static let deepest = 64

    private enum Fault: Error {
        case malformed, endsEarly
    }

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    mutating func scan(for names: [String]) -> Ending {
        fields = Array(repeating: nil, count: names.count)
        occurrences = Array(repeating: 0, count: names.count)
        do {
            try object(names)
            skipSpace()
            return position == bytes.count ? .whole : .malformed
        } catch {
            return error == .malformed ? .malformed : .endsEarly
        }
    }

    /// The text of a string, escapes resolved, or of a number or boolean as it is written; nil of the others.
    func text(of field: Field) -> SecretBuffer? {
        switch field.kind {
        case .null, .container: return nil
        case .number, .boolean:
            let text = SecretBuffer(capacity: field.range.count)
            text.append(UnsafeRawBufferPointer(rebasing: bytes[field.range]))
            return text
        case .string: return unescaped(field.range)
        }
    }

    // MARK: Grammar

    /// The object itself; its fields' values are noted, those inside them are only passed over.
    private mutating func object(_ names: [String]) throws(Fault) {
        skipSpace()
        try take(UInt8(ascii: "{"))
        if try closes(UInt8(ascii: "}")) { return }
        repeat {
            let name = try self.name()
            let field = try value(depth: 1)
            note(field, named: name, among: names)
        } while try goesOn(until: UInt8(ascii: "}"))
    }

    private mutating func note(_ field: Field, named name: Range<Int>, among names: [String]) {
        let text = unescaped(name)
        for (index, wanted) in names.enumerated() where text.bytes.elementsEqual(wanted.utf8) {
            fields[index] = field
            occurrences[index] += 1
        }
    }

    private mutating func value(depth: Int) throws(Fault) -> Field {
        let start = position
        switch try peek() {
        case UInt8(ascii: "\""): return Field(kind: .string, range: try string())
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            try container(depth: depth)
            return Field(kind: .container, range: start..<position)
        case UInt8(ascii: "t"): try word("true")
        case UInt8(ascii: "f"): try word("false")
        case UInt8(ascii: "n"):
            try word("null")
            return Field(kind: .null, range: start..<position)
        default:
            try number()
            // A number has no end of its own: at the end of the bytes it may not be whole.
            _ = try peek()
            return Field(kind: .number, range: start..<position)
        }
        return Field(kind: .boolean, range: start..<position)
    }

    /// Passes over an object or array with all that is in it.
    private mutating func container(depth: Int) throws(Fault) {
        guard depth < Self.deepest else { throw .malformed }
        let isObject = try peek() == UInt8(ascii: "{")
        let end = isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")
        position += 1
        if try closes(end) { return }
        repeat {
            if isObject { _ = try name() } else { skipSpace() }
            _ = try value(depth: depth + 1)
        } while try goesOn(until: end)
    }

    /// Takes the bracket where the container has nothing in it.
    private mutating func closes(_ bracket: UInt8) throws(Fault) -> Bool {
        skipSpace()
        guard try peek() == bracket else { return false }
        position += 1
        return true
    }

    /// Takes the comma, or the bracket that ends the container.
    private mutating func goesOn(until bracket: UInt8) throws(Fault) -> Bool {
        skipSpace()
        let next = try peek()
        guard next == bracket || next == UInt8(ascii: ",") else { throw .malformed }
        position += 1
        return next != bracket
    }

    /// A field's name with its colon, up to the value.
    private mutating func name() throws(Fault) -> Range<Int> {
        skipSpace()
        let range = try string()
        skipSpace()
        try take(UInt8(ascii: ":"))
        skipSpace()
        return range
    }

    /// The range between the quotes.
    private mutating func string() throws(Fault) -> Range<Int> {
        try take(UInt8(ascii: "\""))
        let start = position
        while true {
            let byte = try peek()
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return start..<(position - 1)
            case 0..<0x20: throw .malformed
            case UInt8(ascii: "\\"):
                let escape = try peek()
                position += 1
                if escape == UInt8(ascii: "u") {
                    for _ in 0..<4 {
                        guard CredentialReader.hexValue(try peek()) != nil else { throw .malformed }
                        position += 1
                    }
                } else if Self.unescaped(escape) == nil {
                    throw .malformed
                }
            default: break
            }
        }
    }

    private mutating func number() throws(Fault) {
        if try peek() == UInt8(ascii: "-") { position += 1 }
        if try peek() == UInt8(ascii: "0") { position += 1 } else { try digits() }
        if position < bytes.count && bytes[position] == UInt8(ascii: ".") {
            position += 1
            try digits()
        }
        if position < bytes.count && bytes[position] | 0x20 == UInt8(ascii: "e") {
            position += 1
            let sign = try peek()
            if sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { position += 1 }
            try digits()
        }
    }

    private mutating func digits() throws(Fault) {
        guard (0x30...0x39).contains(try peek()) else { throw .malformed }
        while position < bytes.count && (0x30...0x39).contains(bytes[position]) { position += 1 }
    }

    private mutating func word(_ word: StaticString) throws(Fault) {
        for index in 0..<word.utf8CodeUnitCount { try take(word.utf8Start[index]) }
    }

    private mutating func take(_ byte: UInt8) throws(Fault) {
        guard try peek() == byte else { throw .malformed }
        position += 1
    }

    private func peek() throws(Fault) -> UInt8 {
        guard position < bytes.count else { throw .endsEarly }
        return bytes[position]
    }

    private mutating func skipSpace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D: position += 1
            default: return
            }
        }
    }
}

extension JSONFieldScanner {
    /// A string's content with its escapes resolved; a surrogate without its partner becomes U+FFFD.
    private func unescaped(_ range: Range<Int>) -> SecretBuffer {
        // No escape is shorter than what it stands for.
        let text = SecretBuffer(capacity: range.count)
        var index = range.lowerBound
        while index < range.upperBound {
            let byte = bytes[index]
            index += 1
            guard byte == UInt8(ascii: "\\") else {
                text.append(byte: byte)
                continue
            }
            let escape = bytes[index]
            index += 1
            if let character = Self.unescaped(escape) {
                text.append(byte: character)
                continue
            }
            var unit = codeUnit(at: index)
            index += 4
            if unit & 0xFC00 == 0xD800, index + 6 <= range.upperBound, bytes[index] == UInt8(ascii: "\\"),
                bytes[index + 1] == UInt8(ascii: "u"), codeUnit(at: index + 2) & 0xFC00 == 0xDC00
            {
                unit = 0x10000 + (unit & 0x3FF) << 10 + codeUnit(at: index + 2) & 0x3FF
                index += 6
            }
            let scalar: Unicode.Scalar = Unicode.Scalar(unit) ?? "\u{FFFD}"
            for byte in String(scalar).utf8 { text.append(byte: byte) }
        }
        return text
    }

    private func codeUnit(at index: Int) -> UInt32 {
        (0..<4).reduce(0) { $0 << 4 | UInt32(CredentialReader.hexValue(bytes[index + $1]) ?? 0) }
    }

    /// What the character behind a backslash stands for; nil where it is `u` or no escape.
    private static func unescaped(_ escape: UInt8) -> UInt8? {
        switch escape {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): escape
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0C
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "t"): 0x09
        default: nil
        }
    }
}
