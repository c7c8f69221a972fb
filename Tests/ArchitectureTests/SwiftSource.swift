/// A Swift file as far as the rules need to understand it: comments and the inside of string literals are blanked, so
/// that what is left is code. Regular expression literals are not known; a brace in one would be counted.
struct SwiftSource {
    /// The text with comments and strings blanked, of the same length and with the same lines.
    let code: [UInt8]

    struct Import: Equatable {
        var module: String
        var line: Int
        var isTestable: Bool
    }

    struct Function: Equatable {
        var name: String
        var line: Int
        /// Lines from the declaration's keyword to the closing brace.
        var length: Int
    }

    init(_ text: String) {
        var blanking = Blanking(octets: Array(text.utf8))
        blanking.run()
        code = blanking.octets
    }

    /// Words (identifiers, keywords, numbers) with their offsets.
    var words: [(text: String, offset: Int)] {
        var found: [(String, Int)] = []
        var index = 0
        while index < code.count {
            guard Self.isWord(code[index]) else {
                index += 1
                continue
            }
            let start = index
            while index < code.count, Self.isWord(code[index]) { index += 1 }
            found.append((String(decoding: code[start..<index], as: UTF8.self), start))
        }
        return found
    }

    static func isWord(_ octet: UInt8) -> Bool {
        octet == UInt8(ascii: "_") || octet >= 0x80
            || (octet | 0x20 >= UInt8(ascii: "a") && octet | 0x20 <= UInt8(ascii: "z"))
            || (octet >= UInt8(ascii: "0") && octet <= UInt8(ascii: "9"))
    }

    /// One-based.
    func line(of offset: Int) -> Int { 1 + code[..<offset].count { $0 == 0x0A } }

    private static let importKinds: Set<String> = [
        "actor", "class", "enum", "func", "let", "protocol", "struct", "typealias", "var",
    ]

    var imports: [Import] {
        let words = words
        var found: [Import] = []
        for (index, word) in words.enumerated() where word.text == "import" && index + 1 < words.count {
            let line = line(of: word.offset)
            var next = index + 1
            if Self.importKinds.contains(words[next].text), next + 1 < words.count { next += 1 }
            guard self.line(of: words[next].offset) == line else { continue }
            let before = words[..<index].reversed().prefix { self.line(of: $0.offset) == line }
            found.append(
                Import(module: words[next].text, line: line, isTestable: before.contains { $0.text == "testable" }))
        }
        return found
    }

    /// Declarations with a body: functions, initialisers, subscripts, and properties that compute.
    var functions: [Function] {
        let words = words
        var found: [Function] = []
        for (index, word) in words.enumerated() {
            guard let name = declaredName(words, index), let body = body(words, index) else { continue }
            let first = line(of: word.offset)
            found.append(Function(name: name, line: first, length: line(of: closingBrace(of: body)) - first + 1))
        }
        return found
    }

    /// The name of what the word at `index` declares, if it is such a keyword in such a place.
    private func declaredName(_ words: [(text: String, offset: Int)], _ index: Int) -> String? {
        let word = words[index]
        let after = word.offset + word.text.utf8.count
        let before = code[..<word.offset].last { $0 != 0x20 && $0 != 0x0A }
        guard before != UInt8(ascii: "."), before != UInt8(ascii: "`") else { return nil }
        let next = after < code.count ? code[after] : 0x20
        switch word.text {
        case "func", "var": return index + 1 < words.count ? words[index + 1].text : word.text
        case "init" where "(?!<".utf8.contains(next): return "init"
        case "subscript" where "(<".utf8.contains(next): return "subscript"
        case "deinit": return "deinit"
        default: return nil
        }
    }

    /// Words that begin another declaration: the one before had no body.
    private static let nextDeclaration: Set<String> = [
        "associatedtype", "case", "class", "deinit", "enum", "extension", "fileprivate", "func", "import", "init",
        "internal", "let", "mutating", "nonmutating", "package", "private", "protocol", "public", "static", "struct",
        "subscript", "typealias", "var",
    ]

    /// The offset of the brace that opens the body of the declaration at word `index`.
    private func body(_ words: [(text: String, offset: Int)], _ index: Int) -> Int? {
        let isProperty = words[index].text == "var"
        let hasName = isProperty || words[index].text == "func"
        var offset = words[index].offset + words[index].text.utf8.count
        var nextWord = index + (hasName ? 2 : 1)
        if hasName, index + 1 < words.count, Self.isPlain(code[offset..<words[index + 1].offset]) {
            offset = words[index + 1].offset + words[index + 1].text.utf8.count
        } else {
            nextWord = index + 1
        }
        var depth = 0
        while offset < code.count {
            let octet = code[offset]
            if nextWord < words.count, words[nextWord].offset == offset {
                if depth == 0, Self.nextDeclaration.contains(words[nextWord].text) { return nil }
                offset += words[nextWord].text.utf8.count
                nextWord += 1
                continue
            }
            switch octet {
            case UInt8(ascii: "("), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: ")"), UInt8(ascii: "]"): depth -= 1
            case UInt8(ascii: "{") where depth == 0: return offset
            case UInt8(ascii: "}") where depth == 0: return nil
            case UInt8(ascii: "=") where isProperty && depth == 0: return nil
            case 0x0A where isProperty && depth == 0: return nil
            default: break
            }
            if depth < 0 { return nil }
            offset += 1
        }
        return nil
    }

    private static func isPlain(_ octets: ArraySlice<UInt8>) -> Bool {
        octets.allSatisfy { $0 == 0x20 || $0 == 0x0A || $0 == UInt8(ascii: "`") }
    }

    private func closingBrace(of open: Int) -> Int {
        var depth = 0
        for offset in open..<code.count {
            if code[offset] == UInt8(ascii: "{") { depth += 1 }
            if code[offset] == UInt8(ascii: "}") { depth -= 1 }
            if depth == 0 { return offset }
        }
        return code.count - 1
    }
}

/// Overwrites comments and string literals with blanks.
private struct Blanking {
    var octets: [UInt8]
    private var index = 0

    init(octets: [UInt8]) { self.octets = octets }

    private func at(_ offset: Int) -> UInt8 { offset < octets.count ? octets[offset] : 0 }

    private func starts(_ text: StaticString, at offset: Int) -> Bool {
        for place in 0..<text.utf8CodeUnitCount where at(offset + place) != text.utf8Start[place] { return false }
        return true
    }

    private mutating func blank(_ count: Int) {
        for _ in 0..<count where index < octets.count {
            if octets[index] != 0x0A { octets[index] = 0x20 }
            index += 1
        }
    }

    mutating func run() {
        while index < octets.count { step(blanking: false) }
    }

    /// Takes one octet of code, or a whole comment or string.
    private mutating func step(blanking: Bool) {
        if starts("//", at: index) {
            while index < octets.count, octets[index] != 0x0A { blank(1) }
        } else if starts("/*", at: index) {
            skipBlockComment()
        } else if let hashes = stringStart() {
            skipString(hashes: hashes)
        } else if blanking {
            blank(1)
        } else {
            index += 1
        }
    }

    private mutating func skipBlockComment() {
        var depth = 0
        repeat {
            if starts("/*", at: index) {
                depth += 1
                blank(2)
            } else if starts("*/", at: index) {
                depth -= 1
                blank(2)
            } else {
                blank(1)
            }
        } while depth > 0 && index < octets.count
    }

    /// The number of `#` before the quotation mark if a string begins here.
    private func stringStart() -> Int? {
        var hashes = 0
        while at(index + hashes) == UInt8(ascii: "#") { hashes += 1 }
        return at(index + hashes) == UInt8(ascii: "\"") ? hashes : nil
    }

    private func isHashes(_ count: Int, at offset: Int) -> Bool {
        (0..<count).allSatisfy { at(offset + $0) == UInt8(ascii: "#") }
    }

    private mutating func skipString(hashes: Int) {
        blank(hashes)
        let quotes = starts("\"\"\"", at: index) ? 3 : 1
        blank(quotes)
        while index < octets.count {
            let octet = octets[index]
            if octet == UInt8(ascii: "\\"), isHashes(hashes, at: index + 1) {
                blank(1 + hashes)
                if at(index) == UInt8(ascii: "(") { skipInterpolation() } else { blank(1) }
            } else if quotes == 3 ? starts("\"\"\"", at: index) : octet == UInt8(ascii: "\""),
                isHashes(hashes, at: index + quotes)
            {
                blank(quotes + hashes)
                return
            } else if octet == 0x0A, quotes == 1 {
                return
            } else {
                blank(1)
            }
        }
    }

    private mutating func skipInterpolation() {
        var depth = 0
        repeat {
            if at(index) == UInt8(ascii: "(") { depth += 1 }
            if at(index) == UInt8(ascii: ")") { depth -= 1 }
            step(blanking: true)
        } while depth > 0 && index < octets.count
    }
}
