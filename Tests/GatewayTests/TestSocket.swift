import CTLSPeer
import Foundation
import Glibc

/// A blocking TCP connection with a read buffer. Every call gives up after ten seconds: a test fails, it never hangs.
final class TestSocket: @unchecked Sendable {
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    let descriptor: Int32
    private var buffer: [UInt8] = []
    private var isOpen = true
    private let tls: TestTLS?

    init(descriptor: Int32, tls: TestTLS? = nil) {
        self.descriptor = descriptor
        self.tls = tls
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Connects to 127.0.0.1.
    convenience init(port: UInt16, receiveBuffer: Int32? = nil) throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        if var size = receiveBuffer {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
        var address = Self.loopback(port)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else {
            let reason = errno
            Glibc.close(descriptor)
            throw Failure(description: "cannot connect to port \(port): error \(reason)")
        }
        self.init(descriptor: descriptor)
    }

    deinit { close() }

    static func loopback(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }

    // MARK: Writing

    func write(_ text: String) throws { try write(Array(text.utf8)) }

    func write(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                tls?.write($0.baseAddress! + sent, bytes.count - sent)
                    ?? send(descriptor, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw Failure(description: "cannot write: error \(errno)") }
            sent += count
        }
    }

    func finishWriting() {
        tls?.finish()
        shutdown(descriptor, Int32(SHUT_WR))
    }

    func close() {
        guard isOpen else { return }
        isOpen = false
        Glibc.close(descriptor)
    }

    func reset() {
        guard isOpen else { return }
        var now = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
        close()
    }

    /// Ends the connection under a thread that may be reading from it, which then sees its end.
    func cut() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    // MARK: Reading

    /// False at the end of the stream.
    private func fill() throws -> Bool {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        let count = tls?.read(&chunk, chunk.count) ?? recv(descriptor, &chunk, chunk.count, 0)
        if count < 0 { throw Failure(description: "cannot read: error \(errno)") }
        buffer += chunk[..<count]
        return count > 0
    }

    func byte() throws -> UInt8? {
        if buffer.isEmpty, try !fill() { return nil }
        return buffer.removeFirst()
    }

    /// Up to and with the empty line; nil where the stream ends before its first byte.
    func readHead() throws -> String? {
        let end = Array("\r\n\r\n".utf8)
        while true {
            if let range = buffer.firstRange(of: end) {
                let head = String(decoding: buffer[..<range.upperBound], as: UTF8.self)
                buffer.removeSubrange(..<range.upperBound)
                return head
            }
            if try !fill() {
                if buffer.isEmpty { return nil }
                throw Failure(description: "the stream ended within a head: \(buffer.count) bytes")
            }
        }
    }

    func read(_ count: Int) throws -> [UInt8] {
        while buffer.count < count {
            if try !fill() { throw Failure(description: "the stream ended \(count - buffer.count) bytes early") }
        }
        let bytes = Array(buffer[..<count])
        buffer.removeSubrange(..<count)
        return bytes
    }

    /// Reads and forgets.
    /// What there is, at least a byte and at most so many; nothing at the end.
    func readSome(_ most: Int) throws -> [UInt8] {
        if buffer.isEmpty, try !fill() { return [] }
        let bytes = Array(buffer.prefix(most))
        buffer.removeFirst(bytes.count)
        return bytes
    }

    func skip(_ count: Int) throws {
        var left = count - min(count, buffer.count)
        buffer.removeSubrange(..<min(count, buffer.count))
        var chunk = [UInt8](repeating: 0, count: 262_144)
        while left > 0 {
            let got =
                tls?.read(&chunk, min(left, chunk.count)) ?? recv(descriptor, &chunk, min(left, chunk.count), 0)
            guard got > 0 else { throw Failure(description: "the stream ended \(left) bytes early") }
            left -= got
        }
    }

    func readToEnd() throws -> [UInt8] {
        while try fill() {}
        defer { buffer = [] }
        return buffer
    }

    /// Whether the peer has closed, nothing more having come; waits for it.
    func isAtEnd() throws -> Bool { try buffer.isEmpty && !fill() }

    func readLine() throws -> String {
        var line: [UInt8] = []
        while let next = try byte() {
            if next == 0x0A { return String(decoding: line.dropLast(), as: UTF8.self) }
            line.append(next)
        }
        throw Failure(description: "the stream ended within a line")
    }

    /// The payload of a chunked body, which must be whole.
    func readChunked() throws -> [UInt8] {
        var payload: [UInt8] = []
        while true {
            let line = try readLine()
            guard let size = Int(line.prefix { $0 != ";" }, radix: 16) else {
                throw Failure(description: "not a chunk's size: \(line)")
            }
            payload += try read(size)
            if size == 0 {
                while try !readLine().isEmpty {}
                return payload
            }
            guard try readLine().isEmpty else { throw Failure(description: "a chunk does not end with CRLF") }
        }
    }

    /// A response, its body read by its framing.
    func readResponse(to method: String = "GET") throws -> TestResponse? {
        guard let head = try readHead() else { return nil }
        var response = TestResponse(head: head)
        if method == "HEAD" || response.status < 200 || [204, 304].contains(response.status) { return response }
        if response["transfer-encoding"] == "chunked" {
            response.body = try readChunked()
        } else if let length = response["content-length"].flatMap({ Int($0) }) {
            response.body = try read(length)
        } else {
            response.body = try readToEnd()
        }
        return response
    }

    /// Writes the request and reads its answer.
    func exchange(_ request: String, method: String = "GET") throws -> TestResponse {
        try write(request)
        guard let response = try readResponse(to: method) else { throw Failure(description: "no response") }
        return response
    }
}

struct TestResponse {
    var head: String
    var body: [UInt8] = []

    var status: Int { Int(head.split(separator: " ", maxSplits: 2)[1]) ?? 0 }
    var text: String { String(decoding: body, as: UTF8.self) }
    var lines: [String] { head.components(separatedBy: "\r\n").filter { !$0.isEmpty } }

    subscript(name: String) -> String? {
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts.count == 2, parts[0].lowercased() == name { return parts[1].trimmingCharacters(in: .whitespaces) }
        }
        return nil
    }

    var json: [String: Any] { (try? JSONSerialization.jsonObject(with: Data(body)) as? [String: Any]) ?? [:] }
}
