import Foundation
import Glibc
import Synchronization

/// A real origin server on 127.0.0.1: a thread for each connection.
final class TestOrigin: @unchecked Sendable {
    let port: UInt16
    private let listener: Int32
    private let state = Mutex(State())

    private struct State {
        var connections: [TestSocket] = []
        var accepted = 0
        var requests: [TestRequest] = []
        var isStopped = false
    }

    /// - Parameter serve: has the connection for its life; it is closed when this returns or throws.
    init(_ serve: @escaping @Sendable (TestSocket, TestOrigin) throws -> Void) throws {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var on: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        var address = TestSocket.loopback(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = listener
        let bound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(descriptor, pointer, length) == 0 && listen(descriptor, 1_024) == 0
                    && getsockname(descriptor, pointer, &length) == 0
            }
        }
        guard bound else { throw TestSocket.Failure(description: "cannot listen: error \(errno)") }
        port = UInt16(bigEndian: address.sin_port)
        Thread.detachNewThread { [self] in
            while true {
                let accepted = accept(descriptor, nil, nil)
                guard accepted >= 0 else {
                    // Closed here only: another thread's number may be the same by the time that this one looks.
                    Glibc.close(descriptor)
                    return
                }
                let connection = TestSocket(descriptor: accepted)
                let isWanted = state.withLock { state in
                    state.accepted += 1
                    if !state.isStopped { state.connections.append(connection) }
                    return !state.isStopped
                }
                guard isWanted else {
                    connection.reset()
                    continue
                }
                Thread.detachNewThread { [self] in
                    try? serve(connection, self)
                    forget(connection)
                    connection.close()
                }
            }
        }
    }

    /// Answers each request of each connection by `answer`.
    static func http(_ answer: @escaping @Sendable (TestRequest) throws -> TestAnswer) throws -> TestOrigin {
        try TestOrigin { connection, origin in
            while let request = try TestRequest(from: connection) {
                origin.note(request)
                let answer = try answer(request)
                try connection.write(answer.bytes(for: request))
                if answer.closes { return }
            }
        }
    }

    /// 200 for each request, once the test lets it answer by adding to the gate.
    static func held(_ gate: Tally, body: String = "ok") throws -> TestOrigin {
        try http { _ in
            try waitUntil("the test lets the instance answer") { gate.count > 0 }
            return TestAnswer(body: Array(body.utf8))
        }
    }

    /// 200 with the request's body, or with a word where it has none.
    static func echo() throws -> TestOrigin {
        try http { TestAnswer(body: $0.body.isEmpty ? Array("hello".utf8) : $0.body) }
    }

    var accepted: Int { state.withLock { $0.accepted } }
    var requests: [TestRequest] { state.withLock { $0.requests } }
    var openConnections: Int { state.withLock { $0.connections.count } }

    func note(_ request: TestRequest) { state.withLock { $0.requests.append(request) } }

    private func forget(_ connection: TestSocket) {
        state.withLock { state in state.connections.removeAll { $0 === connection } }
    }

    /// Dies as a killed process does: nothing listens any more and every connection is broken.
    func kill() {
        let connections = state.withLock { state in
            state.isStopped = true
            return state.connections
        }
        shutdown(listener, Int32(SHUT_RDWR))
        for connection in connections { connection.cut() }
    }

    /// Closes all connections that are idle, and goes on listening: what a server's keep-alive timeout does.
    func closeConnections() {
        for connection in state.withLock({ $0.connections }) { connection.cut() }
    }
}

struct TestRequest: Sendable {
    var head: String
    var body: [UInt8] = []

    /// Reads a request with its body; nil at the end of the connection.
    init?(from connection: TestSocket, readsBody: Bool = true) throws {
        guard let head = try connection.readHead() else { return nil }
        self.head = head
        guard readsBody else { return }
        if self["expect"] == "100-continue" { try connection.write("HTTP/1.1 100 Continue\r\n\r\n") }
        if self["transfer-encoding"] == "chunked" {
            body = try connection.readChunked()
        } else if let length = self["content-length"].flatMap({ Int($0) }) {
            body = try connection.read(length)
        }
    }

    var method: String { String(head.prefix { $0 != " " }) }
    var target: String { String(head.split(separator: " ")[1]) }

    subscript(name: String) -> String? { TestResponse(head: head)[name] }
}

struct TestAnswer {
    var status = "200 OK"
    var fields: [String] = []
    var body: [UInt8] = []
    var isChunked = false
    var closes = false

    func bytes(for request: TestRequest) -> [UInt8] {
        var head = "HTTP/1.1 \(status)\r\n"
        for field in fields { head += field + "\r\n" }
        let code = Int(status.prefix(3)) ?? 200
        let hasBody = code != 204 && code != 304
        if hasBody { head += isChunked ? "transfer-encoding: chunked\r\n" : "content-length: \(body.count)\r\n" }
        if closes { head += "connection: close\r\n" }
        var bytes = Array((head + "\r\n").utf8)
        guard hasBody, request.method != "HEAD" else { return bytes }
        if isChunked {
            for start in stride(from: 0, to: body.count, by: 1_000) {
                let chunk = body[start..<min(body.count, start + 1_000)]
                bytes += Array((String(chunk.count, radix: 16) + "\r\n").utf8) + chunk + Array("\r\n".utf8)
            }
            bytes += Array("0\r\n\r\n".utf8)
        } else {
            bytes += body
        }
        return bytes
    }
}
