/// Reads bytes until the head of the final response is complete (RFC 9112; interim responses are passed over).
package struct ResponseHeadReader: Sendable {
    package enum Progress: Hashable, Sendable {
        case more
        case passed
        /// A status that was not expected.
        case status(String)
        /// Not HTTP, or too much of it.
        case malformed(String)
    }

    private let expected: ClosedRange<Int>
    private var bytes: [UInt8] = []
    private var total = 0
    /// Up to where the end of the head has been looked for.
    private var searched = 0

    package init(expected: ClosedRange<Int>) { self.expected = expected }

    package var isEmpty: Bool { total == 0 }

    package mutating func read(_ more: some Collection<UInt8>) -> Progress {
        total += more.count
        bytes.append(contentsOf: more.prefix(HealthProbes.maximumHeadSize + 1))
        if let fault = faultInFirstLine() { return .malformed(fault) }
        while let end = endOfHead(), end <= HealthProbes.maximumHeadSize {
            guard let status = statusCode() else { return .malformed("not HTTP: \(firstLine)") }
            guard status < 200, status != 101 else {
                return expected.contains(status) ? .passed : .status("status \(status), expected \(expected)")
            }
            bytes.removeFirst(end)
            searched = 0
        }
        guard total <= HealthProbes.maximumHeadSize else {
            return .malformed("the response's head is longer than \(HealthProbes.maximumHeadSize) bytes")
        }
        return .more
    }

    /// What cannot become HTTP is refused before more of it is waited for.
    private func faultInFirstLine() -> String? {
        let start = Array("HTTP/1.".utf8)
        return bytes.starts(with: start) || start.starts(with: bytes) ? nil : "not HTTP: \(firstLine)"
    }

    /// The index behind the empty line.
    private mutating func endOfHead() -> Int? {
        var index = max(0, searched - 3)
        while index < bytes.count {
            if bytes[index] == 0x0A {
                if index + 1 < bytes.count, bytes[index + 1] == 0x0A { return index + 2 }
                if index + 2 < bytes.count, bytes[index + 1] == 0x0D, bytes[index + 2] == 0x0A { return index + 3 }
            }
            index += 1
        }
        searched = bytes.count
        return nil
    }

    /// `HTTP/1.1 200 …`
    private func statusCode() -> Int? {
        guard bytes.count > 12, (0x30...0x39).contains(bytes[7]), bytes[8] == 0x20,
            [0x20, 0x0D, 0x0A].contains(bytes[12])
        else { return nil }
        let digits = bytes[9...11]
        guard digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        let code = digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
        return (100...599).contains(code) ? code : nil
    }

    /// For people: printable, and short.
    private var firstLine: String {
        let line = bytes.prefix { $0 != 0x0D && $0 != 0x0A }.prefix(40)
        return "\"" + String(decoding: line.map { (0x20...0x7E).contains($0) ? $0 : 0x3F }, as: UTF8.self) + "\""
    }
}
