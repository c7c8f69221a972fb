/// Where to send requests.
public struct HTTPTarget: Hashable, Sendable, CustomStringConvertible {
    /// An IPv4 or IPv6 address in text form.
    public var address: String
    public var port: UInt16

    public init(address: String = "127.0.0.1", port: UInt16) {
        self.address = address
        self.port = port
    }

    public var description: String { address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)" }
}

public struct HTTPField: Hashable, Sendable {
    public var name: String
    public var value: String

    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// A request as it goes on the wire. `host` is added where it is not among the fields; `content-length` where there
/// is a body. Nothing is checked, so that tests can also send what no client should.
public struct HTTPRequest: Hashable, Sendable {
    public var method: String
    public var path: String
    public var fields: [HTTPField]
    public var body: [UInt8]

    public init(_ method: String = "GET", _ path: String = "/", fields: [HTTPField] = [], body: [UInt8] = []) {
        self.method = method
        self.path = path
        self.fields = fields
        self.body = body
    }

    public init(_ method: String, _ path: String, fields: [HTTPField] = [], text: String) {
        self.init(method, path, fields: fields, body: Array(text.utf8))
    }

    /// HTTP/1.1 (RFC 9112).
    func encoded(for target: HTTPTarget, extra: [HTTPField] = []) -> [UInt8] {
        var head = "\(method) \(path) HTTP/1.1\r\n"
        let all = fields + extra
        if !all.contains(where: { $0.name.lowercased() == "host" }) { head += "host: \(target)\r\n" }
        let isFramed = all.contains { ["content-length", "transfer-encoding"].contains($0.name.lowercased()) }
        if !body.isEmpty && !isFramed { head += "content-length: \(body.count)\r\n" }
        for field in all { head += "\(field.name): \(field.value)\r\n" }
        head += "\r\n"
        return Array(head.utf8) + body
    }
}

public struct HTTPResponse: Hashable, Sendable {
    public var status: Int
    public var reason: String
    public var fields: [HTTPField]
    /// Of a load generator's responses it is left out; `bodySize` tells how long it was.
    public var body: [UInt8]
    public var bodySize: Int

    init() {
        status = 0
        reason = ""
        fields = []
        body = []
        bodySize = 0
    }

    /// The first field of this name, in any case.
    public subscript(name: String) -> String? {
        let wanted = name.lowercased()
        return fields.first { $0.name.lowercased() == wanted }?.value
    }

    public var text: String { String(decoding: body, as: UTF8.self) }
}

/// Why there is no whole response.
public struct LoadClientError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable, CaseIterable {
        /// What was asked for makes no sense; nothing was sent.
        case invalid
        /// No connection: refused, or unreachable.
        case notConnected = "not-connected"
        /// The connection ended before the response did.
        case closed
        /// The time ran out before the response was whole.
        case timeout
        /// What came is not a response.
        case malformed
        /// The response is longer than the client takes.
        case tooLong = "too-long"
        /// A file could not be written, or there was no descriptor or thread left.
        case system
    }

    public var code: Code
    public var message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "\(code.rawValue): \(message)" }
}
