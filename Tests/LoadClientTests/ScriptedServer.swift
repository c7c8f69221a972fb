import Glibc
import Synchronization

/// A small real server: a thread for each connection, and a script that says what each request is answered.
final class ScriptedServer: Sendable {
    struct Request: Sendable {
        var method: String
        var path: String
        /// Names in lower case.
        var fields: [String: String]
        var body: [UInt8]
        /// From 0, over all connections.
        var number: Int
        var connection: Int
        /// Of the monotonic clock.
        var microseconds: Int64
    }

    enum Reply: Sendable {
        case text(String, close: Bool = false)
        /// In pieces of one byte.
        case dribbled(String)
        case delayed(milliseconds: UInt32, String)
        /// Nothing, and the connection ends.
        case hangUp
        /// Nothing, and the connection stays.
        case silence

        static func ok(_ body: String = "ok", fields: String = "") -> Reply {
            .text("HTTP/1.1 200 OK\r\ncontent-length: \(body.utf8.count)\r\n\(fields)\r\n\(body)")
        }
    }

    private struct State {
        var connections: Set<Int32> = []
        var connectionCount = 0
        var requests: [Request] = []
        var isStopped = false
    }

    let port: UInt16
    private let listener: Int32
    private let script: @Sendable (Request) -> Reply
    private let state = Mutex(State())

    /// Port 0 takes a free one.
    init(port: UInt16 = 0, _ script: @escaping @Sendable (Request) -> Reply) {
        self.script = script
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.listener = listener
        var on: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                let code = bind(listener, address, size)
                getsockname(listener, address, &size)
                return code
            }
        }
        precondition(bound == 0 && listen(listener, 1_024) == 0, "the test's server cannot listen: error \(errno)")
        self.port = UInt16(bigEndian: address.sin_port)
        Self.thread { self.accept() }
    }

    var requests: [Request] { state.withLock { $0.requests } }
    var connectionCount: Int { state.withLock { $0.connectionCount } }

    /// Ends all connections and listens no more.
    func stop() {
        state.withLock { state in
            guard !state.isStopped else { return }
            state.isStopped = true
            shutdown(listener, Int32(SHUT_RDWR))
            for connection in state.connections { shutdown(connection, Int32(SHUT_RDWR)) }
        }
    }

    private static func thread(_ body: @escaping @Sendable () -> Void) {
        final class Body {
            let run: @Sendable () -> Void
            init(_ run: @escaping @Sendable () -> Void) { self.run = run }
        }
        var id = pthread_t()
        let failure = pthread_create(
            &id, nil,
            { argument in
                if let argument { Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
                return nil
            }, Unmanaged.passRetained(Body(body)).toOpaque())
        precondition(failure == 0, "no thread for the test's server: error \(failure)")
        pthread_detach(id)
    }

    private func accept() {
        while true {
            let connection = Glibc.accept(listener, nil, nil)
            guard connection >= 0 else { break }
            let number = state.withLock { state -> Int? in
                guard !state.isStopped else { return nil }
                state.connections.insert(connection)
                state.connectionCount += 1
                return state.connectionCount - 1
            }
            guard let number else {
                close(connection)
                break
            }
            Self.thread {
                self.serve(connection, number)
                self.state.withLock { _ = $0.connections.remove(connection) }
                close(connection)
            }
        }
        close(listener)
    }

    private func serve(_ connection: Int32, _ number: Int) {
        var buffer: [UInt8] = []
        while let request = next(connection, number, &buffer) {
            switch script(request) {
            case .text(let text, let ends):
                write(connection, Array(text.utf8))
                if ends { return }
            case .dribbled(let text): for byte in text.utf8 { write(connection, [byte]) }
            case .delayed(let milliseconds, let text):
                usleep(milliseconds * 1_000)
                write(connection, Array(text.utf8))
            case .hangUp: return
            case .silence: continue
            }
        }
    }

    private func write(_ connection: Int32, _ bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                send(connection, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            sent += count
        }
    }

    private func next(_ connection: Int32, _ number: Int, _ buffer: inout [UInt8]) -> Request? {
        while true {
            if let request = parsed(&buffer, number) { return request }
            var piece = [UInt8](repeating: 0, count: 16_384)
            let count = recv(connection, &piece, piece.count, 0)
            guard count > 0 else { return nil }
            buffer += piece[..<count]
        }
    }

    private func parsed(_ buffer: inout [UInt8], _ connection: Int) -> Request? {
        guard let end = (0..<max(0, buffer.count - 3)).first(where: { buffer[$0..<$0 + 4] == [13, 10, 13, 10] })
        else { return nil }
        let lines = String(decoding: buffer[..<end], as: UTF8.self).split(separator: "\r\n")
        let words = lines[0].split(separator: " ")
        var fields: [String: String] = [:]
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            fields[parts[0].lowercased()] = String(parts[1].drop { $0 == " " })
        }
        let length = fields["content-length"].flatMap { Int($0) } ?? 0
        // A path tells the script that the rest of the body is not to be waited for.
        let waits = words[1] != "/early"
        guard !waits || buffer.count >= end + 4 + length else { return nil }
        let body = Array(buffer[(end + 4)...].prefix(length))
        buffer.removeFirst(min(buffer.count, end + 4 + length))
        return state.withLock { state in
            let request = Request(
                method: String(words[0]), path: String(words[1]), fields: fields, body: body,
                number: state.requests.count, connection: connection,
                microseconds: Monotonic.microseconds())
            state.requests.append(request)
            return request
        }
    }
}
