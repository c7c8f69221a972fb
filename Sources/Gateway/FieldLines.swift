import CNghttp2
import Glibc
import HTTP1

/// A head of HTTP/1.1 that the gateway has written, as fields for nghttp2: names in lower case, the start line as
/// pseudo-fields, and nothing that concerns one connection only (RFC 9113, section 8.2.2).
struct FieldLines {
    let fields: UnsafeMutablePointer<nghttp2_nv>
    private(set) var count = 0
    private(set) var isChunked = false
    private(set) var length: UInt64?
    private(set) var status = 0
    /// It answers an extended CONNECT: only a switch of protocols is a success (RFC 8441, section 5).
    var isTunnel = false
    private let capacity: Int
    private let text: UnsafeMutableRawBufferPointer
    private var textCount = 0

    /// Names that are not in lower case yet are written to `text`; values stay where they are.
    init(_ fields: UnsafeMutableBufferPointer<nghttp2_nv>, _ text: UnsafeMutableRawBufferPointer) {
        self.fields = fields.baseAddress!
        capacity = fields.count
        self.text = text
    }

    var isInterim: Bool { (100...199).contains(status) }

    /// Content follows, or may: of a response, whatever the method was.
    var hasBody: Bool { status != 204 && status != 304 && length != 0 }

    /// Reads the head at the start of `octets`; its length, or nil where none is whole there.
    mutating func read(_ octets: UnsafeRawBufferPointer, isRequest: Bool) -> Int? {
        guard var end = Self.lineEnd(octets, from: 0) else { return nil }
        guard isRequest ? readRequestLine(octets, end) : readStatusLine(octets, end) else { return nil }
        while true {
            let start = end + 2
            guard let next = Self.lineEnd(octets, from: start) else { return nil }
            if next == start { return start + 2 }
            guard readField(UnsafeRawBufferPointer(rebasing: octets[start..<next])) else { return nil }
            end = next
        }
    }

    /// Reads a trailer section behind the line of the last chunk, before which the end of the chunk before may be.
    mutating func readTrailers(_ octets: UnsafeRawBufferPointer) {
        var start = 0
        var isBehindLastChunk = false
        while let end = Self.lineEnd(octets, from: start) {
            let line = UnsafeRawBufferPointer(rebasing: octets[start..<end])
            start = end + 2
            if isBehindLastChunk {
                if line.isEmpty { return }
                _ = readField(line)
            } else {
                isBehindLastChunk = !line.isEmpty
            }
        }
    }

    // MARK: Lines

    private mutating func readStatusLine(_ octets: UnsafeRawBufferPointer, _ end: Int) -> Bool {
        // "HTTP/1.1 200 OK"
        guard end >= 12 else { return false }
        for digit in octets[9..<12] { status = status * 10 + Int(digit &- 0x30) }
        guard isTunnel, status == 101 || (200...299).contains(status) else {
            add(":status", UnsafeRawBufferPointer(rebasing: octets[9..<12]))
            return true
        }
        // An instance that answers well without switching has not opened what a good answer would say is open.
        let isOpen = status == 101
        status = isOpen ? 200 : 502
        add(":status", isOpen ? "200" : "502")
        return true
    }

    private mutating func readRequestLine(_ octets: UnsafeRawBufferPointer, _ end: Int) -> Bool {
        // "GET /path HTTP/1.1"
        guard let space = octets[..<end].firstIndex(of: 0x20), end - space > 10 else { return false }
        add(":method", UnsafeRawBufferPointer(rebasing: octets[..<space]))
        add(":scheme", "http")
        add(":path", UnsafeRawBufferPointer(rebasing: octets[(space + 1)..<(end - 9)]))
        return true
    }

    /// False where there is no room for it.
    private mutating func readField(_ line: UnsafeRawBufferPointer) -> Bool {
        guard let colon = Self.colon(in: line), count < capacity, textCount + colon <= text.count else { return false }
        let name = UnsafeMutableRawBufferPointer(rebasing: text[textCount..<(textCount + colon)])
        for index in 0..<colon {
            let octet = line[index]
            name[index] = octet &- 0x41 < 26 ? octet | 0x20 : octet
        }
        var first = colon + 1
        var last = line.count
        while first < last, line[first] == 0x20 || line[first] == 0x09 { first += 1 }
        while last > first, line[last - 1] == 0x20 || line[last - 1] == 0x09 { last -= 1 }
        let value = UnsafeRawBufferPointer(rebasing: line[first..<last])
        if noteFraming(UnsafeRawBufferPointer(name), value) { return true }
        textCount += colon
        add(UnsafeRawBufferPointer(name), value)
        return true
    }

    /// Whether the field concerns the connection only, and is left out.
    private mutating func noteFraming(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Bool {
        func isName(_ text: StaticString) -> Bool { EventLoop.equal(name, text) }
        switch name.count {
        case 2: return isName("te") && !EventLoop.equal(value, "trailers")
        case 4: return isName("host") && renameHost(value)
        case 7: return isName("upgrade")
        case 10: return isName("connection") || isName("keep-alive")
        case 14 where isName("content-length"):
            var number: UInt64 = 0
            for digit in value { number = number &* 10 &+ UInt64(digit &- 0x30) }
            length = number
            return false
        case 16: return isName("proxy-connection")
        case 20: return isTunnel && isName("sec-websocket-accept")
        case 17:
            guard isName("transfer-encoding") else { return false }
            isChunked = true
            return true
        default: return false
        }
    }

    private mutating func renameHost(_ value: UnsafeRawBufferPointer) -> Bool {
        guard status == 0 else { return false }
        add(":authority", value)
        return true
    }

    // MARK: Fields

    private mutating func add(_ name: StaticString, _ value: UnsafeRawBufferPointer) {
        add(UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount), value)
    }

    private mutating func add(_ name: StaticString, _ value: StaticString) {
        add(name, UnsafeRawBufferPointer(start: value.utf8Start, count: value.utf8CodeUnitCount))
    }

    private mutating func add(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        guard count < capacity else { return }
        // nghttp2 reads them only; its type says otherwise.
        fields[count] = nghttp2_nv(
            name: UnsafeMutablePointer(mutating: name.baseAddress?.assumingMemoryBound(to: UInt8.self)),
            value: UnsafeMutablePointer(mutating: value.baseAddress?.assumingMemoryBound(to: UInt8.self)),
            namelen: name.count, valuelen: value.count, flags: UInt8(NGHTTP2_NV_FLAG_NONE.rawValue))
        count += 1
    }

    /// Where the line that begins there ends; nil where it does not.
    private static func lineEnd(_ octets: UnsafeRawBufferPointer, from start: Int) -> Int? {
        guard start < octets.count, let base = octets.baseAddress,
            let found = memchr(base + start, 0x0A, octets.count - start)
        else { return nil }
        let end = UnsafeRawPointer(found) - base - 1
        return end >= start ? end : nil
    }

    private static func colon(in line: UnsafeRawBufferPointer) -> Int? {
        line.firstIndex(of: UInt8(ascii: ":"))
    }
}
