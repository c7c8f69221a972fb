/// Reads one HTTP/1.x response (RFC 9112) from bytes as they come, interim responses skipped.
struct ResponseParser {
    private enum State {
        case statusLine, fields
        case body(remaining: Int)
        case chunkSize
        case chunk(remaining: Int)
        case chunkEnd, trailers
        case untilClose
        case complete
    }

    private(set) var response = HTTPResponse()
    private var state = State.statusLine
    private var line: [UInt8] = []
    private var headSize = 0
    private var minorVersion = 1
    private let answersHead: Bool
    private let keepsBody: Bool
    private let maximumBody: Int
    /// Whether anything has come at all.
    private(set) var hasBegun = false

    static let maximumHead = 65_536

    init(answersHead: Bool, keepsBody: Bool = true, maximumBody: Int = 1 << 26) {
        self.answersHead = answersHead
        self.keepsBody = keepsBody
        self.maximumBody = maximumBody
    }

    var isComplete: Bool {
        if case .complete = state { true } else { false }
    }

    /// Whether the connection may carry another request after this response.
    var keepsConnection: Bool {
        guard isComplete, !endsWithConnection, response.status != 101 else { return false }
        let tokens = response["connection"]?.lowercased() ?? ""
        return minorVersion >= 1 ? !tokens.contains("close") : tokens.contains("keep-alive")
    }

    private var endsWithConnection = false

    /// Takes bytes up to the end of the response.
    /// - Returns: how many were taken.
    mutating func feed(_ bytes: UnsafeRawBufferPointer) throws(LoadClientError) -> Int {
        var taken = 0
        if !bytes.isEmpty { hasBegun = true }
        while taken < bytes.count, !isComplete {
            switch state {
            case .complete: break
            case .body(let remaining):
                let count = min(remaining, bytes.count - taken)
                try append(bytes, taken, count)
                taken += count
                state = count == remaining ? .complete : .body(remaining: remaining - count)
            case .chunk(let remaining):
                let count = min(remaining, bytes.count - taken)
                try append(bytes, taken, count)
                taken += count
                state = count == remaining ? .chunkEnd : .chunk(remaining: remaining - count)
            case .untilClose:
                try append(bytes, taken, bytes.count - taken)
                taken = bytes.count
            case .statusLine, .fields, .chunkSize, .chunkEnd, .trailers:
                let byte = bytes[taken]
                taken += 1
                if byte == 0x0A { try endLine() } else { try extendLine(byte) }
            }
        }
        return taken
    }

    /// The connection has ended.
    mutating func end() throws(LoadClientError) {
        if isComplete { return }
        guard case .untilClose = state else {
            throw LoadClientError(.closed, hasBegun ? "the response broke off" : "there was no response")
        }
        state = .complete
        endsWithConnection = true
    }

    private mutating func append(_ bytes: UnsafeRawBufferPointer, _ from: Int, _ count: Int) throws(LoadClientError) {
        response.bodySize += count
        guard response.bodySize <= maximumBody else {
            throw LoadClientError(.tooLong, "more than \(maximumBody) bytes of body")
        }
        if keepsBody { response.body.append(contentsOf: bytes[from..<from + count]) }
    }

    private mutating func extendLine(_ byte: UInt8) throws(LoadClientError) {
        headSize += 1
        guard headSize <= Self.maximumHead else {
            throw LoadClientError(.tooLong, "more than \(Self.maximumHead) bytes of head or chunk lines")
        }
        line.append(byte)
    }

    private mutating func endLine() throws(LoadClientError) {
        guard line.last == 0x0D else { throw LoadClientError(.malformed, "a line ends without a carriage return") }
        line.removeLast()
        let text = String(decoding: line, as: UTF8.self)
        line.removeAll(keepingCapacity: true)
        switch state {
        case .statusLine: try readStatus(text)
        case .fields: if text.isEmpty { try endHead() } else { try readField(text) }
        case .chunkSize: try readChunkSize(text)
        case .chunkEnd:
            guard text.isEmpty else { throw LoadClientError(.malformed, "a chunk is longer than its size") }
            headSize = 0
            state = .chunkSize
        case .trailers: if text.isEmpty { state = .complete }
        case .body, .chunk, .untilClose, .complete: break
        }
    }

    private mutating func readStatus(_ text: String) throws(LoadClientError) {
        let parts = text.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count >= 2, parts[0] == "HTTP/1.1" || parts[0] == "HTTP/1.0", parts[1].count == 3,
            let status = Int(parts[1]), (100...599).contains(status)
        else { throw LoadClientError(.malformed, "not a status line: \(text.prefix(80))") }
        minorVersion = parts[0] == "HTTP/1.1" ? 1 : 0
        response.status = status
        response.reason = parts.count > 2 ? String(parts[2]) : ""
        state = .fields
    }

    private mutating func readField(_ text: String) throws(LoadClientError) {
        guard let colon = text.firstIndex(of: ":"), colon > text.startIndex else {
            throw LoadClientError(.malformed, "not a field: \(text.prefix(80))")
        }
        var value = text[text.index(after: colon)...]
        while let first = value.first, first == " " || first == "\t" { value.removeFirst() }
        while let last = value.last, last == " " || last == "\t" { value.removeLast() }
        response.fields.append(HTTPField(String(text[..<colon]), String(value)))
    }

    /// Where the body ends: RFC 9112, section 6.3.
    private mutating func endHead() throws(LoadClientError) {
        if (100...199).contains(response.status) && response.status != 101 {
            response = HTTPResponse()
            headSize = 0
            state = .statusLine
            return
        }
        headSize = 0
        if answersHead || response.status == 204 || response.status == 304 || response.status == 101 {
            state = .complete
        } else if let coding = response["transfer-encoding"] {
            guard coding.lowercased() == "chunked" else {
                throw LoadClientError(.malformed, "unknown transfer coding \(coding)")
            }
            state = .chunkSize
        } else if let text = response["content-length"] {
            guard let length = Int(text), length >= 0, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
                throw LoadClientError(.malformed, "content-length: \(text)")
            }
            state = length == 0 ? .complete : .body(remaining: length)
        } else {
            state = .untilClose
        }
    }

    private mutating func readChunkSize(_ text: String) throws(LoadClientError) {
        let digits = text.prefix { $0 != ";" && $0 != " " }
        guard !digits.isEmpty, digits.utf8.allSatisfy({ ($0 | 0x20) >= 0x61 || $0 <= 0x39 }),
            let size = Int(digits, radix: 16), size >= 0
        else { throw LoadClientError(.malformed, "not the size of a chunk: \(text.prefix(80))") }
        headSize = 0
        state = size == 0 ? .trailers : .chunk(remaining: size)
    }
}
