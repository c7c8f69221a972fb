import Glibc

/// One keep-alive connection that a thread uses: `send` blocks until the response is whole or the time is up.
///
/// It is made with the first request and again after the server has closed it. A request is never repeated by itself:
/// where the server closed an idle connection at the moment of the next request, that request fails and says so.
public final class HTTPConnection {
    public let target: HTTPTarget
    /// For a whole request, connecting included.
    public let timeoutMilliseconds: Int64
    private var socket: Socket?
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)

    public init(to target: HTTPTarget, timeoutMilliseconds: Int64 = 30_000) {
        self.target = target
        self.timeoutMilliseconds = timeoutMilliseconds
    }

    deinit {
        socket?.close()
        buffer.deallocate()
    }

    public var isConnected: Bool { socket != nil }

    public func close() {
        socket?.close()
        socket = nil
    }

    /// Makes the connection where there is none yet.
    public func connect() throws(LoadClientError) { try connect(until: deadline) }

    private var deadline: Int64 { MonotonicClock.microseconds() + timeoutMilliseconds * 1_000 }

    private func connect(until deadline: Int64) throws(LoadClientError) {
        guard socket == nil else { return }
        let new = try Socket.connecting(to: target)
        guard new.wait(for: POLLOUT, until: deadline) else {
            new.close()
            throw LoadClientError(.timeout, "no connection to \(target) in time")
        }
        if let failure = new.connectFailure() {
            new.close()
            throw LoadClientError(.notConnected, "\(target): \(Socket.describe(failure))")
        }
        socket = new
    }

    /// Sends a request and waits for its response. After an error the next request begins on a new connection.
    public func send(_ request: HTTPRequest) throws(LoadClientError) -> HTTPResponse {
        try exchange(request.encoded(for: target), answersHead: request.method == "HEAD")
    }

    /// Sends these very bytes and waits for one response.
    public func send(raw bytes: [UInt8]) throws(LoadClientError) -> HTTPResponse {
        try exchange(bytes, answersHead: false)
    }

    private func exchange(_ bytes: [UInt8], answersHead: Bool) throws(LoadClientError) -> HTTPResponse {
        let deadline = deadline
        try connect(until: deadline)
        guard let socket else { throw LoadClientError(.notConnected, "\(target)") }
        do throws(LoadClientError) {
            var parser = ResponseParser(answersHead: answersHead)
            let sentAll = try write(bytes, to: socket, &parser, until: deadline)
            while !parser.isComplete { try read(from: socket, &parser, until: deadline) }
            if !sentAll || !parser.keepsConnection { close() }
            return parser.response
        } catch {
            close()
            throw error
        }
    }

    /// A server may answer, and stop listening, before it has all of a long body: so what it says is read meanwhile.
    /// - Returns: whether everything was sent.
    private func write(_ bytes: [UInt8], to socket: Socket, _ parser: inout ResponseParser, until deadline: Int64)
        throws(LoadClientError) -> Bool
    {
        var sent = 0
        while sent < bytes.count && !parser.isComplete {
            switch bytes.withUnsafeBytes({ socket.send(UnsafeRawBufferPointer(rebasing: $0[sent...])) }) {
            case .done(let count): sent += count
            case .wouldBlock:
                guard socket.wait(for: POLLIN | POLLOUT, until: deadline) else {
                    throw LoadClientError(.timeout, "\(sent) of \(bytes.count) bytes were sent in time")
                }
                switch socket.receive(buffer) {
                case .done(let count): try feed(count, &parser)
                case .wouldBlock: continue
                case .ended: try parser.end()
                case .failed(let code): throw LoadClientError(.closed, "\(target): \(Socket.describe(code))")
                }
            case .ended, .failed: return false
            }
        }
        return sent == bytes.count
    }

    private func read(from socket: Socket, _ parser: inout ResponseParser, until deadline: Int64)
        throws(LoadClientError)
    {
        switch socket.receive(buffer) {
        case .done(let count): try feed(count, &parser)
        case .wouldBlock:
            guard socket.wait(for: POLLIN, until: deadline) else {
                throw LoadClientError(.timeout, "no whole response from \(target) in \(timeoutMilliseconds) ms")
            }
        case .ended: try parser.end()
        case .failed(let code): throw LoadClientError(.closed, "\(target): \(Socket.describe(code))")
        }
    }

    private func feed(_ count: Int, _ parser: inout ResponseParser) throws(LoadClientError) {
        let taken = try parser.feed(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        guard taken == count else {
            throw LoadClientError(.malformed, "\(count - taken) bytes after the end of the response")
        }
    }
}
