/// What one side of a WebSocket says to the other (RFC 6455, section 5).
public enum WebSocketMessage: Hashable, Sendable {
    /// Octets, from a text or a binary message alike: who uses this room carries streams, in which neither the borders
    /// of messages nor their kind mean anything.
    case data([UInt8])
    case ping([UInt8])
    case pong([UInt8])
    /// - Parameter code: nil where none was given.
    case close(code: UInt16?, reason: String)
}

/// What was received is no WebSocket: the connection is to be closed with the code (RFC 6455, section 7.4.1).
public struct WebSocketFault: Error, Hashable, Sendable {
    public var code: UInt16
    public var reason: String

    public init(code: UInt16, reason: String) {
        self.code = code
        self.reason = reason
    }

    static func violated(_ reason: String) -> WebSocketFault { WebSocketFault(code: 1_002, reason: reason) }
}

/// Codes of a close frame.
public enum WebSocketCloseCode {
    public static let normal: UInt16 = 1_000
    /// The server ends, or what it stands for.
    public static let goingAway: UInt16 = 1_001
    public static let tooBig: UInt16 = 1_009
    public static let policy: UInt16 = 1_008
}

public enum WebSocketSide: Sendable { case client, server }

/// Makes messages of the octets that come from the other side. A frame is kept until it is whole, and no frame is
/// larger than the limit, so that is what it takes of memory at most, and once more of what has come and is not read.
public struct WebSocketReader: Sendable {
    private let masked: Bool
    private let maximumFrameBytes: Int
    private var received: [UInt8] = []
    /// A message has begun whose last frame has not come.
    private var isWithinMessage = false

    /// - Parameters:
    ///   - side: who reads. What a client sends is masked, what a server sends is not.
    ///   - maximumFrameBytes: of the content of one frame.
    public init(side: WebSocketSide, maximumFrameBytes: Int) {
        masked = side == .server
        self.maximumFrameBytes = maximumFrameBytes
    }

    public mutating func append(_ octets: some Sequence<UInt8>) { received += octets }

    /// What has come and is not yet read.
    public var bufferedBytes: Int { received.count }

    /// The next message; nil where more has to come first.
    public mutating func next() throws(WebSocketFault) -> WebSocketMessage? {
        guard received.count >= 2 else { return nil }
        let (first, second) = (received[0], received[1])
        guard first & 0x70 == 0 else { throw .violated("a reserved bit is set") }
        guard (second & 0x80 != 0) == masked else {
            throw .violated(masked ? "a frame of a client is not masked" : "a frame of a server is masked")
        }
        let isControl = first & 0x08 != 0
        let isLast = first & 0x80 != 0
        guard let (length, start) = try length(of: second & 0x7F, isControl: isControl) else { return nil }
        let content = start + (masked ? 4 : 0)
        guard received.count >= content + length else { return nil }
        var payload = Array(received[content..<content + length])
        if masked { for index in payload.indices { payload[index] ^= received[start + index % 4] } }
        received.removeFirst(content + length)
        return try message(first & 0x0F, payload, isLast: isLast)
    }

    private func length(
        of short: UInt8, isControl: Bool
    ) throws(WebSocketFault) -> (length: Int, start: Int)? {
        guard !isControl || short < 126 else { throw .violated("a control frame is longer than 125 octets") }
        let width = short == 126 ? 2 : short == 127 ? 8 : 0
        guard received.count >= 2 + width else { return nil }
        let length =
            width == 0
            ? UInt64(short) : received[2..<2 + width].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard width == 0 || length > (width == 2 ? 125 : 65_535) else {
            throw .violated("a length is not written in its shortest form")
        }
        guard length <= UInt64(maximumFrameBytes) else {
            throw WebSocketFault(
                code: WebSocketCloseCode.tooBig, reason: "a frame may have \(maximumFrameBytes) octets")
        }
        return (Int(length), 2 + width)
    }

    private mutating func message(
        _ opcode: UInt8, _ payload: [UInt8], isLast: Bool
    ) throws(WebSocketFault) -> WebSocketMessage {
        guard opcode < 8 || isLast else { throw .violated("a control frame is in parts") }
        switch opcode {
        case 0:
            guard isWithinMessage else { throw .violated("there is no message to continue") }
            isWithinMessage = !isLast
            return .data(payload)
        case 1, 2:
            guard !isWithinMessage else { throw .violated("a message begins within another one") }
            isWithinMessage = !isLast
            return .data(payload)
        case 8:
            guard payload.count != 1 else { throw .violated("a close code has one octet") }
            let code = payload.count < 2 ? nil : UInt16(payload[0]) << 8 | UInt16(payload[1])
            return .close(code: code, reason: String(decoding: payload.dropFirst(2), as: UTF8.self))
        case 9: return .ping(payload)
        case 10: return .pong(payload)
        default: throw .violated("opcode \(opcode) is not known")
        }
    }
}

extension WebSocketMessage {
    /// The message as one frame.
    /// - Parameter mask: a new random number for each frame of a client; nil for those of a server.
    public func frame(mask: UInt32? = nil) -> [UInt8] {
        let (opcode, payload) = content
        var bytes: [UInt8] = [0x80 | opcode]
        let marked: UInt8 = mask == nil ? 0 : 0x80
        if payload.count < 126 {
            bytes.append(marked | UInt8(payload.count))
        } else {
            let width = payload.count <= 65_535 ? 2 : 8
            bytes.append(marked | (width == 2 ? 126 : 127))
            for index in (0..<width).reversed() {
                bytes.append(UInt8(truncatingIfNeeded: payload.count >> (8 * index)))
            }
        }
        guard let mask else { return bytes + payload }
        let key = (0..<4).map { UInt8(truncatingIfNeeded: mask >> (24 - 8 * $0)) }
        bytes += key
        for (index, byte) in payload.enumerated() { bytes.append(byte ^ key[index % 4]) }
        return bytes
    }

    private var content: (opcode: UInt8, payload: [UInt8]) {
        switch self {
        case .data(let bytes): return (2, bytes)
        case .ping(let bytes): return (9, Array(bytes.prefix(125)))
        case .pong(let bytes): return (10, Array(bytes.prefix(125)))
        case .close(nil, _): return (8, [])
        case .close(let code?, let reason):
            // 125 octets with the code, cut between characters.
            var text: [UInt8] = []
            for character in reason where text.count + character.utf8.count <= 123 { text += character.utf8 }
            return (8, [UInt8(code >> 8), UInt8(code & 0xFF)] + text)
        }
    }
}
