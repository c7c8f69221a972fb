public import AdministrationAPI
import Foundation
import FoundationNetworking
import Synchronization

extension AdministrationClient {
    /// Follows the event log: what comes after `position` (nil: from now on), without a gap, over broken connections.
    ///
    /// Throws where the server refuses; a connection that breaks is made anew, after 1 s at first and 10 s at most,
    /// `maximumAttempts` times in a row. Ends when the task is cancelled.
    public func followEvents(
        _ filter: EventFilter, after position: Int64? = nil, maximumAttempts: Int = 10
    ) -> EventFollower {
        EventFollower(client: self, filter: filter, after: position, maximumAttempts: maximumAttempts)
    }
}

/// The event log as it grows.
public struct EventFollower: AsyncSequence, Sendable {
    public typealias Element = API.Event

    let client: AdministrationClient
    let filter: EventFilter
    let after: Int64?
    let maximumAttempts: Int

    public func makeAsyncIterator() -> Iterator { Iterator(of: self) }

    public struct Iterator: AsyncIteratorProtocol {
        private let follower: EventFollower
        private var last: Int64?
        private var failures = 0
        private var messages: AsyncThrowingStream<ServerSentEventParser.Message, any Error>.Iterator?

        init(of follower: EventFollower) {
            self.follower = follower
            last = follower.after
        }

        public mutating func next() async throws -> API.Event? {
            while !Task.isCancelled {
                do {
                    if let event = try await nextOfConnection() { return event }
                } catch let error as ClientError where error.isPassing && failures + 1 < follower.maximumAttempts {
                    failures += 1
                    try await Task.sleep(for: .seconds(Swift.min(10, failures)))
                }
                messages = nil
            }
            return nil
        }

        /// Nil where the connection has ended.
        private mutating func nextOfConnection() async throws -> API.Event? {
            if messages == nil { messages = try connect().makeAsyncIterator() }
            while let message = try await messages?.next() {
                failures = 0
                if let id = message.id.flatMap({ Int64($0) }) { last = id }
                guard !message.data.isEmpty else { continue }
                return try JSONDecoder().decode(API.Event.self, from: Data(message.data.utf8))
            }
            return nil
        }

        private func connect() throws(ClientError) -> AsyncThrowingStream<ServerSentEventParser.Message, any Error> {
            var request = try follower.client.request(
                "GET", API.root + "/events/stream",
                query: follower.filter.query.filter { $0.0 != "from" && $0.0 != "until" })
            request.setValue("text/event-stream", forHTTPHeaderField: "Accept")
            if let last { request.setValue(String(last), forHTTPHeaderField: "Last-Event-ID") }
            return StreamReader.messages(of: request, client: follower.client)
        }
    }
}

extension ClientError {
    /// Whether trying again may help.
    fileprivate var isPassing: Bool {
        switch self {
        case .unreachable, .timedOut: true
        case .refused(let problem): problem.status == 503
        case .badAddress, .unexpectedAnswer: false
        }
    }
}

/// Reads the pieces of a stream as they come.
private final class StreamReader: NSObject, URLSessionDataDelegate, Sendable {
    private struct State {
        var parser = ServerSentEventParser()
        var refusal: Transport.Answer?
    }

    private let state = Mutex(State())
    private let continuation: AsyncThrowingStream<ServerSentEventParser.Message, any Error>.Continuation
    private let client: AdministrationClient

    private init(
        _ continuation: AsyncThrowingStream<ServerSentEventParser.Message, any Error>.Continuation,
        client: AdministrationClient
    ) {
        self.continuation = continuation
        self.client = client
    }

    static func messages(
        of request: URLRequest, client: AdministrationClient
    ) -> AsyncThrowingStream<ServerSentEventParser.Message, any Error> {
        // More than this is not kept for a reader that is slower than the server: the connection is given up, and the
        // next one goes on after the last event that was read.
        AsyncThrowingStream(bufferingPolicy: .bufferingOldest(10_000)) { continuation in
            let reader = StreamReader(continuation, client: client)
            // Heartbeats come every 15 s; a server that is silent for three of them is gone.
            let session = URLSession(
                configuration: Transport.configuration(45), delegate: reader, delegateQueue: nil)
            let task = session.dataTask(with: request)
            continuation.onTermination = { _ in
                task.cancel()
                session.invalidateAndCancel()
            }
            task.resume()
        }
    }

    func urlSession(
        _ session: URLSession, dataTask: URLSessionDataTask, didReceive response: URLResponse,
        completionHandler: @escaping @Sendable (URLSession.ResponseDisposition) -> Void
    ) {
        if let response = response as? HTTPURLResponse, response.statusCode != 200 {
            state.withLock {
                $0.refusal = Transport.Answer(
                    status: response.statusCode, headers: Transport.headers(of: response), body: [])
            }
        }
        completionHandler(.allow)
    }

    func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
        let messages = state.withLock { state in
            guard state.refusal == nil else {
                state.refusal?.body += data
                return [ServerSentEventParser.Message]()
            }
            return state.parser.feed(data)
        }
        for message in messages {
            guard case .dropped = continuation.yield(message) else { continue }
            let reason = "events came faster than they were read"
            continuation.finish(throwing: ClientError.unreachable(server: client.server, reason: reason))
            return
        }
    }

    func urlSession(_ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?) {
        if let refusal = state.withLock({ $0.refusal }) {
            continuation.finish(throwing: client.refusal(refusal))
        } else if let error {
            continuation.finish(
                throwing: Transport.clientError(error, server: client.server, seconds: client.timeoutSeconds))
        } else {
            continuation.finish(
                throwing: ClientError.unreachable(server: client.server, reason: "the server ended the stream"))
        }
    }

    func urlSession(
        _ session: URLSession, task: URLSessionTask, willPerformHTTPRedirection response: HTTPURLResponse,
        newRequest request: URLRequest, completionHandler: @escaping @Sendable (URLRequest?) -> Void
    ) { completionHandler(nil) }
}

/// Takes a stream of server-sent events apart (WHATWG HTML, section 9.2), whatever pieces it comes in.
package struct ServerSentEventParser: Sendable {
    package struct Message: Hashable, Sendable {
        package var id: String?
        package var event: String?
        package var data = ""

        package init(id: String? = nil, event: String? = nil, data: String = "") {
            self.id = id
            self.event = event
            self.data = data
        }
    }

    /// A line longer than this ends the message that it is in.
    private static let maximumLineLength = 1 << 20

    private var line: [UInt8] = []
    private var lastWasReturn = false
    private var message = Message()
    private var hasData = false

    package init() {}

    package mutating func feed(_ bytes: some Sequence<UInt8>) -> [Message] {
        var messages: [Message] = []
        for byte in bytes {
            defer { lastWasReturn = byte == 0x0D }
            if byte == 0x0A, lastWasReturn { continue }
            guard byte == 0x0A || byte == 0x0D else {
                if line.count < Self.maximumLineLength { line.append(byte) }
                continue
            }
            if let finished = endLine() { messages.append(finished) }
        }
        return messages
    }

    private mutating func endLine() -> Message? {
        defer { line.removeAll(keepingCapacity: true) }
        guard !line.isEmpty else {
            defer {
                message = Message()
                hasData = false
            }
            return hasData || message.id != nil ? message : nil
        }
        let text = String(decoding: line, as: UTF8.self)
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        var value = parts.count > 1 ? parts[1] : ""
        if value.hasPrefix(" ") { value.removeFirst() }
        switch parts[0] {
        case "id": message.id = String(value)
        case "event": message.event = String(value)
        case "data":
            message.data += hasData ? "\n" + value : value
            hasData = true
        default: break
        }
        return nil
    }
}
