import AdministrationAPI
import CCurl
import Foundation
import Glibc
import WebSocketFrames

extension AdministrationClient {
    /// Opens the serial console of a virtual server. Blocks until it is open or refused.
    public func openConsole(
        _ instance: String, takingOver: Bool = false
    ) throws(ClientError) -> ConsoleConnection {
        let path = "/api/v1/virtual-servers/\(Self.encoded(instance))/console" + (takingOver ? "?takeOver=true" : "")
        return try ConsoleConnection(self, path: path)
    }
}

/// A console's WebSocket. Whoever has it waits until `descriptor` can be read and then calls `receive` until it gives
/// nothing. For one thread at a time.
public final class ConsoleConnection {
    public enum Received: Hashable, Sendable {
        case said([UInt8])
        /// - Parameter reason: the platform's words; empty where it gave none.
        case ended(code: UInt16?, reason: String)
    }

    private static let maximumHeadBytes = 16_384
    private static let maximumProblemBytes = 65_536

    private let client: AdministrationClient
    private let handle: UnsafeMutableRawPointer
    private var reader = WebSocketReader(side: .client, maximumFrameBytes: 1 << 20)
    private var random = SystemRandomNumberGenerator()
    /// To wait for with `poll`.
    public let descriptor: Int32

    init(_ client: AdministrationClient, path: String) throws(ClientError) {
        self.client = client
        handle = try client.curlHandle(for: client.server)
        // libcurl makes the connection, through TLS and proxies where they are asked for; what is said on it is ours.
        ccurl_set_number(handle, CURLOPT_CONNECT_ONLY, 1)
        ccurl_set_number(handle, CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        let code = curl_easy_perform(handle)
        guard code == CURLE_OK else {
            curl_easy_cleanup(handle)
            throw .unreachable(server: client.server, reason: String(cString: curl_easy_strerror(code)))
        }
        descriptor = ccurl_socket(handle)
        try shakeHands(path)
    }

    deinit { curl_easy_cleanup(handle) }

    /// What has come; nil where nothing is there yet.
    public func receive() throws(ClientError) -> Received? {
        while true {
            do throws(WebSocketFault) {
                while let message = try reader.next() {
                    switch message {
                    case .data(let bytes): return .said(bytes)
                    case .ping(let bytes): try answer(.pong(bytes))
                    case .pong: break
                    case .close(let code, let reason):
                        try answer(.close(code: code, reason: ""))
                        return .ended(code: code, reason: reason)
                    }
                }
            } catch { throw .unexpectedAnswer(server: client.server, what: error.reason) }
            guard let bytes = try read() else { return nil }
            if bytes.isEmpty { return .ended(code: nil, reason: "the connection was closed") }
            reader.append(bytes)
        }
    }

    /// An answer that does not reach the other side any more: the next read says so.
    private func answer(_ message: WebSocketMessage) throws(WebSocketFault) {
        try? write(message.frame(mask: random.next()))
    }

    /// Blocks until the other side has taken it.
    public func type(_ bytes: some Collection<UInt8>) throws(ClientError) {
        var rest = Array(bytes)[...]
        while !rest.isEmpty {
            try write(WebSocketMessage.data(Array(rest.prefix(16_384))).frame(mask: random.next()))
            rest = rest.dropFirst(16_384)
        }
    }

    public func close() {
        try? write(WebSocketMessage.close(code: WebSocketCloseCode.normal, reason: "").frame(mask: random.next()))
    }

    // MARK: Handshake

    private func shakeHands(_ path: String) throws(ClientError) {
        guard let url = URL(string: client.server), let host = url.host else { throw .badAddress(client.server) }
        let key = WebSocketHandshake.key(using: &random)
        let name = host.contains(":") && !host.hasPrefix("[") ? "[\(host)]" : host
        var lines = [
            "GET \(url.path)\(path) HTTP/1.1", "Host: \(name)\(url.port.map { ":\($0)" } ?? "")",
            "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: \(WebSocketHandshake.version)",
            "Sec-WebSocket-Key: \(key)", "Accept: \(API.problemMediaType)",
        ]
        if let token = client.token { lines.append("Authorization: Bearer \(token)") }
        try write(Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8))
        var received: [UInt8] = []
        let end = Array("\r\n\r\n".utf8)
        var head: Range<Int>?
        while head == nil {
            guard received.count <= Self.maximumHeadBytes else {
                throw .unexpectedAnswer(server: client.server, what: "the head of its answer is too long")
            }
            received += try readWaiting()
            head = received.indices.first { received[$0...].starts(with: end) }.map { 0..<$0 }
        }
        let text = String(decoding: received[head ?? 0..<0], as: UTF8.self).components(separatedBy: "\r\n")
        let rest = Array(received.dropFirst((head?.upperBound ?? 0) + end.count))
        var fields: [String: String] = [:]
        for line in text.dropFirst() {
            let halves = line.split(separator: ":", maxSplits: 1)
            guard halves.count == 2 else { continue }
            fields[halves[0].lowercased()] = halves[1].trimmingCharacters(in: .whitespaces)
        }
        let status = text[0].split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        guard status == 101 else { throw try refusal(status, fields, rest) }
        guard fields["sec-websocket-accept"] == WebSocketHandshake.accept(ofKey: key) else {
            throw .unexpectedAnswer(server: client.server, what: "it does not answer the WebSocket's key")
        }
        reader.append(rest)
    }

    private func refusal(
        _ status: Int, _ fields: [String: String], _ begun: [UInt8]
    ) throws(ClientError) -> ClientError {
        var body = begun
        let length = min(fields["content-length"].flatMap { Int($0) } ?? 0, Self.maximumProblemBytes)
        while body.count < length { body += try readWaiting() }
        return client.refusal(Transport.Answer(status: status, headers: fields, body: Array(body.prefix(length))))
    }

    // MARK: Octets

    /// Nil where nothing is there yet, empty at the end.
    private func read() throws(ClientError) -> [UInt8]? {
        var piece = [UInt8](repeating: 0, count: 16_384)
        var count = 0
        let code = curl_easy_recv(handle, &piece, piece.count, &count)
        if code == CURLE_AGAIN { return nil }
        guard code == CURLE_OK else { throw .unreachable(server: client.server, reason: "the connection broke") }
        return Array(piece.prefix(count))
    }

    private func readWaiting() throws(ClientError) -> [UInt8] {
        while true {
            if let bytes = try read() {
                guard !bytes.isEmpty else {
                    throw .unreachable(server: client.server, reason: "the connection was closed before an answer")
                }
                return bytes
            }
            try wait(for: Int16(POLLIN))
        }
    }

    private func write(_ bytes: [UInt8]) throws(ClientError) {
        var sent = 0
        while sent < bytes.count {
            var count = 0
            let code = bytes.withUnsafeBytes { buffer in
                curl_easy_send(handle, buffer.baseAddress?.advanced(by: sent), buffer.count - sent, &count)
            }
            sent += count
            switch code {
            case CURLE_OK: continue
            case CURLE_AGAIN: try wait(for: Int16(POLLOUT))
            default: throw .unreachable(server: client.server, reason: "the connection broke")
            }
        }
    }

    private func wait(for events: Int16) throws(ClientError) {
        var entry = pollfd(fd: descriptor, events: events, revents: 0)
        guard poll(&entry, 1, Int32(client.timeoutSeconds) * 1_000) != 0 else {
            throw .timedOut(server: client.server, seconds: client.timeoutSeconds)
        }
    }
}
