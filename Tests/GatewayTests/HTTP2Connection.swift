import CNghttp2
import Glibc

/// A connection of HTTP/2 frame by frame, so that a test can break every rule; only the reading of heads is nghttp2's.
final class HTTP2Connection: @unchecked Sendable {
    enum FrameType: UInt8 {
        case data, headers, priority, reset, settings, pushPromise, ping, goAway, windowUpdate, continuation
    }

    struct Frame {
        var type: UInt8
        var flags: UInt8
        var stream: UInt32
        var payload: [UInt8]

        /// The 32-bit number that the payload begins with, or has at the offset.
        func number(at offset: Int = 0) -> UInt32 {
            payload[offset..<(offset + 4)].reduce(0) { $0 << 8 | UInt32($1) }
        }
    }

    /// What came on one stream.
    struct Message {
        var heads: [[(name: String, value: String)]] = []
        var body: [UInt8] = []
        /// Octets of the body, kept or not.
        var received = 0
        var hasEnded = false
        var reset: UInt32?

        /// The final head's, interim ones before it.
        var head: [(name: String, value: String)] { heads.first { Int($0[0].value) ?? 0 >= 200 } ?? [] }
        var status: Int { head.first.flatMap { Int($0.value) } ?? 0 }
        var text: String { String(decoding: body, as: UTF8.self) }
        var trailers: [(name: String, value: String)] {
            heads.count > 1 && heads.last?.first?.name != ":status" ? heads[heads.count - 1] : []
        }

        subscript(name: String) -> String? { head.first { $0.name == name }?.value }
    }

    static let endStream: UInt8 = 1
    static let endHeaders: UInt8 = 4
    static let acknowledgement: UInt8 = 1

    let socket: TestSocket
    private var inflater: OpaquePointer?
    private(set) var messages: [UInt32: Message] = [:]
    private(set) var goAways: [(last: UInt32, code: UInt32)] = []
    private(set) var settings: [UInt16: UInt32] = [:]
    private(set) var pings = 0
    /// Opens windows as data comes.
    var reads = true
    var keepsBodies = true
    private var windows: [UInt32: Int] = [0: 65_535]

    /// Connects with prior knowledge: the preface and settings at once.
    convenience init(port: UInt16, settings: [(UInt16, UInt32)] = [], receiveBuffer: Int32? = nil) throws {
        try self.init(TestSocket(port: port, receiveBuffer: receiveBuffer), settings: settings)
    }

    /// The same over a connection that is there.
    init(_ socket: TestSocket, settings: [(UInt16, UInt32)] = []) throws {
        self.socket = socket
        nghttp2_hd_inflate_new(&inflater)
        try socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        try send(.settings, 0, 0, Self.payload(settings))
    }

    /// The server's side of a connection that was accepted.
    init(accepted: TestSocket, settings: [(UInt16, UInt32)] = []) throws {
        socket = accepted
        nghttp2_hd_inflate_new(&inflater)
        let preface = try accepted.read(24)
        guard preface == Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) else {
            throw TestSocket.Failure(description: "not the preface: \(String(decoding: preface, as: UTF8.self))")
        }
        try send(.settings, 0, 0, Self.payload(settings))
    }

    deinit { nghttp2_hd_inflate_del(inflater) }

    private static func payload(_ settings: [(UInt16, UInt32)]) -> [UInt8] {
        settings.flatMap { [UInt8($0.0 >> 8), UInt8($0.0 & 0xFF)] + bytes($0.1) }
    }

    static func bytes(_ number: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) }
    }

    // MARK: Sending

    static func frame(_ type: UInt8, _ flags: UInt8, _ stream: UInt32, _ payload: [UInt8] = []) -> [UInt8] {
        Array(bytes(UInt32(payload.count)).dropFirst()) + [type, flags] + bytes(stream) + payload
    }

    func send(_ type: FrameType, _ flags: UInt8, _ stream: UInt32, _ payload: [UInt8] = []) throws {
        try socket.write(Self.frame(type.rawValue, flags, stream, payload))
    }

    /// Fields as literals without indexing (RFC 7541, section 6.2.2).
    static func block(_ fields: [(String, String)]) -> [UInt8] {
        fields.flatMap { [0] + text($0.0) + text($0.1) }
    }

    private static func text(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8)
        guard bytes.count >= 127 else { return [UInt8(bytes.count)] + bytes }
        var length: [UInt8] = [127]
        var rest = bytes.count - 127
        while rest >= 128 {
            length.append(UInt8(rest & 127) | 128)
            rest >>= 7
        }
        return length + [UInt8(rest)] + bytes
    }

    static func request(
        _ method: String = "GET", _ path: String = "/", _ fields: [(String, String)] = []
    ) -> [(String, String)] {
        [(":method", method), (":scheme", "http"), (":authority", "web"), (":path", path)] + fields
    }

    func sendHead(_ stream: UInt32, _ fields: [(String, String)], ends: Bool = true) throws {
        try send(.headers, Self.endHeaders | (ends ? Self.endStream : 0), stream, Self.block(fields))
    }

    func sendData(_ stream: UInt32, _ body: [UInt8], ends: Bool = false) throws {
        try send(.data, ends ? Self.endStream : 0, stream, body)
        windows[0, default: 65_535] -= body.count
        windows[stream, default: 65_535] -= body.count
    }

    /// Whether the windows allow so many octets now.
    func mayHaveSent(_ count: Int, on stream: UInt32) -> Bool {
        windows[0, default: 65_535] >= count && windows[stream, default: 65_535] >= count
    }

    func openWindow(_ stream: UInt32, _ count: UInt32) throws {
        try send(.windowUpdate, 0, stream, Self.bytes(count))
    }

    // MARK: Receiving

    /// The next frame, what it says having been noted; nil where the connection has ended.
    func next() throws -> Frame? {
        guard try !socket.isAtEnd() else { return nil }
        let header = try socket.read(9)
        let length = Int(header[0]) << 16 | Int(header[1]) << 8 | Int(header[2])
        var frame = Frame(type: header[3], flags: header[4], stream: 0, payload: try socket.read(length))
        frame.stream = header[5..<9].reduce(0) { $0 << 8 | UInt32($1) }
        try note(frame)
        return frame
    }

    private func note(_ frame: Frame) throws {
        let ends = frame.flags & Self.endStream != 0
        switch FrameType(rawValue: frame.type) {
        case .data:
            messages[frame.stream, default: Message()].received += frame.payload.count
            if keepsBodies { messages[frame.stream]?.body += frame.payload }
            if ends { messages[frame.stream]?.hasEnded = true }
            guard reads, !frame.payload.isEmpty else { return }
            try openWindow(0, UInt32(frame.payload.count))
            if !ends { try openWindow(frame.stream, UInt32(frame.payload.count)) }
        case .headers:
            let fields = inflate(frame.payload)
            messages[frame.stream, default: Message()].heads.append(fields)
            if ends { messages[frame.stream]?.hasEnded = true }
        case .reset: messages[frame.stream, default: Message()].reset = frame.number()
        case .goAway: goAways.append((frame.number() & 0x7FFF_FFFF, frame.number(at: 4)))
        case .settings where frame.flags & Self.acknowledgement == 0:
            for start in stride(from: 0, to: frame.payload.count, by: 6) {
                let name = UInt16(frame.payload[start]) << 8 | UInt16(frame.payload[start + 1])
                settings[name] = frame.number(at: start + 2)
            }
            try send(.settings, Self.acknowledgement, 0)
        case .ping: pings += 1
        case .windowUpdate: windows[frame.stream, default: 65_535] += Int(frame.number())
        default: break
        }
    }

    private func inflate(_ block: [UInt8]) -> [(name: String, value: String)] {
        var fields: [(name: String, value: String)] = []
        var input = block
        input.withUnsafeMutableBufferPointer { input in
            var offset = 0
            while true {
                var field = nghttp2_nv()
                var flags: Int32 = 0
                let count = nghttp2_hd_inflate_hd2(
                    inflater, &field, &flags, input.baseAddress! + offset, input.count - offset, 1)
                guard count >= 0 else { return }
                offset += count
                if flags & Int32(NGHTTP2_HD_INFLATE_EMIT.rawValue) != 0 {
                    fields.append(
                        (
                            String(
                                decoding: UnsafeBufferPointer(start: field.name, count: field.namelen), as: UTF8.self),
                            String(
                                decoding: UnsafeBufferPointer(start: field.value, count: field.valuelen), as: UTF8.self)
                        ))
                }
                if flags & Int32(NGHTTP2_HD_INFLATE_FINAL.rawValue) != 0 {
                    nghttp2_hd_inflate_end_headers(inflater)
                    return
                }
            }
        }
        return fields
    }

    /// Reads until the stream has ended or was reset.
    func response(on stream: UInt32) throws -> Message {
        try read("stream \(stream) has ended") { $0.messages[stream].map { $0.hasEnded || $0.reset != nil } ?? false }
        return messages[stream] ?? Message()
    }

    /// Reads until the condition holds.
    func read(_ what: String, until condition: (HTTP2Connection) throws -> Bool) throws {
        while try !condition(self) {
            guard try next() != nil else {
                throw TestSocket.Failure(description: "the connection has ended before: \(what)")
            }
        }
    }

    /// Reads until the gateway has ended the connection; the code of its last GOAWAY.
    func readToEnd() throws -> UInt32? {
        do {
            while try next() != nil {}
        } catch {
            // A reset: it may overtake the last frames.
        }
        return goAways.last?.code
    }

    /// One request and its answer.
    func exchange(
        _ stream: UInt32, _ method: String = "GET", _ path: String = "/", _ fields: [(String, String)] = [],
        body: [UInt8]? = nil
    ) throws -> Message {
        try sendHead(stream, Self.request(method, path, fields), ends: body == nil)
        if let body { try sendData(stream, body, ends: true) }
        return try response(on: stream)
    }
}
