public import CloudModel
public import CloudPorts
import Foundation
import FoundationNetworking
public import Logging
import Synchronization

/// Sends spans to a collector: OTLP over HTTP with JSON (opentelemetry-proto, "OTLP/HTTP"). Takes them from their
/// sources once a second, and more often while they fill whole batches. However slow the collector is, only this waits;
/// what the sources have no room for meanwhile is dropped there and counted.
public final class TraceExporter: Sendable {
    /// For `/metrics`; totals since the start.
    public struct Totals: Hashable, Sendable {
        /// Spans that the collector took.
        public var exported: UInt64 = 0
        /// Spans that it refused, or did not take in time.
        public var failed: UInt64 = 0
        /// Requests and operations that found no room before.
        public var dropped: UInt64 = 0

        public init(exported: UInt64 = 0, failed: UInt64 = 0, dropped: UInt64 = 0) {
            self.exported = exported
            self.failed = failed
            self.dropped = dropped
        }
    }

    /// Spans in one request to the collector.
    public static let batchSize = 512
    /// Attempts of one batch where the collector says, or seems to mean, that it can take it later.
    static let attempts = 4

    private let url: URL
    private let headers: [Header]
    private let resource: TraceDocument.Resource
    private let sources: [any SpanSource]
    private let logger: Logger
    private let pause: Duration
    private let session: URLSession
    private let totalsOfSpans = Mutex(Totals())
    private let isFailing = Mutex(false)

    /// Reads the file of header fields, if there is one.
    ///
    /// - Parameter pause: between two looks at the sources, and the unit of the pause before another attempt.
    public init(
        _ settings: TraceSettings, from resource: TraceDocument.Resource, sources: [any SpanSource],
        pause: Duration = .seconds(1), logger: Logger
    ) throws(TraceSettingsError) {
        url = try Self.url(settings.endpoint)
        headers = try settings.headersFile.map(Header.read) ?? []
        self.resource = resource
        self.sources = sources
        self.pause = pause
        self.logger = logger
        let configuration = URLSessionConfiguration.ephemeral
        configuration.timeoutIntervalForRequest = 10
        configuration.timeoutIntervalForResource = 20
        configuration.httpMaximumConnectionsPerHost = 1
        configuration.urlCache = nil
        configuration.httpCookieStorage = nil
        session = URLSession(configuration: configuration)
    }

    private static func url(_ endpoint: String) throws(TraceSettingsError) -> URL {
        var text = endpoint
        while text.hasSuffix("/") { text.removeLast() }
        if !text.hasSuffix("/v1/traces") { text += "/v1/traces" }
        guard let url = URL(string: text) else {
            throw TraceSettingsError("'\(endpoint)' in spec.telemetry.traces.endpoint is not a URL")
        }
        return url
    }

    public var totals: Totals {
        var totals = totalsOfSpans.withLock { $0 }
        totals.dropped = sources.reduce(0) { $0 + $1.dropped }
        return totals
    }

    /// Until cancelled. Call `finish` afterwards.
    public func run() async {
        while !Task.isCancelled {
            let sent = await exportOnce(attempts: Self.attempts)
            if sent < Self.batchSize { try? await Task.sleep(for: pause) }
        }
    }

    /// Sends what the sources still have, without another attempt, and closes the connections.
    public func finish() async {
        // The caller may be cancelled already.
        await Task.detached { [self] in
            while await exportOnce(attempts: 1) >= Self.batchSize, !isFailing.withLock({ $0 }) {}
            session.finishTasksAndInvalidate()
        }.value
    }

    /// Sends one batch of what there is; gives back how many spans it had.
    private func exportOnce(attempts: Int) async -> Int {
        var spans: [TraceSpan] = []
        for source in sources where spans.count < Self.batchSize {
            spans += source.takeSpans(limit: Self.batchSize - spans.count)
        }
        guard !spans.isEmpty else { return 0 }
        await send(spans, attempts: attempts)
        return spans.count
    }

    private func send(_ spans: [TraceSpan], attempts: Int) async {
        guard let body = try? TraceDocument(spans, from: resource).data else { return }
        var request = URLRequest(url: url)
        request.httpMethod = "POST"
        request.httpBody = body
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        for header in headers { request.setValue(header.value, forHTTPHeaderField: header.name) }
        var reason = ""
        for attempt in 0..<attempts {
            if attempt > 0 { try? await Task.sleep(for: pause * (1 << (attempt - 1))) }
            switch await post(request) {
            case .taken(let refused):
                count(exported: spans.count - min(refused, spans.count), failed: min(refused, spans.count))
                recovered()
                return
            case .later(let why): reason = why
            case .refused(let why):
                count(exported: 0, failed: spans.count)
                warn(why)
                return
            }
        }
        count(exported: 0, failed: spans.count)
        warn(reason)
    }

    private enum Answer {
        /// But for so many spans.
        case taken(refused: Int)
        case later(String)
        case refused(String)
    }

    private func post(_ request: URLRequest) async -> Answer {
        let (data, response): (Data, URLResponse)
        do {
            (data, response) = try await session.data(for: request)
        } catch {
            return .later("the collector cannot be reached: \(error.localizedDescription)")
        }
        let status = (response as? HTTPURLResponse)?.statusCode ?? 0
        switch status {
        case 200..<300: return .taken(refused: Self.refusedSpans(data))
        case 429, 502, 503, 504: return .later("the collector answered \(status)")
        default: return .refused("the collector answered \(status); look at endpoint and headersFile")
        }
    }

    /// Of a partial success: `{"partialSuccess":{"rejectedSpans":"3"}}`, the number as text or, from some, as a number.
    private static func refusedSpans(_ data: Data) -> Int {
        let answer = try? JSONSerialization.jsonObject(with: data) as? [String: Any]
        let partial = answer?["partialSuccess"] as? [String: Any]
        if let text = partial?["rejectedSpans"] as? String { return max(0, Int(text) ?? 0) }
        return max(0, (partial?["rejectedSpans"] as? NSNumber)?.intValue ?? 0)
    }

    private func count(exported: Int, failed: Int) {
        totalsOfSpans.withLock { totals in
            totals.exported += UInt64(exported)
            totals.failed += UInt64(failed)
        }
    }

    /// Once, until it works again.
    private func warn(_ reason: String) {
        let isNew = isFailing.withLock { isFailing in
            defer { isFailing = true }
            return !isFailing
        }
        if isNew { logger.warning("Spans are lost", metadata: ["reason": "\(reason)"]) }
    }

    private func recovered() { isFailing.withLock { $0 = false } }
}

/// Why no traces can be sent: what, where, and how to mend it.
public struct TraceSettingsError: Error, Hashable, Sendable, CustomStringConvertible {
    public var description: String

    init(_ description: String) { self.description = description }
}

/// A header field for the collector.
private struct Header: Sendable {
    var name: String
    var value: String

    private static let mostLines = 32

    static func read(_ file: String) throws(TraceSettingsError) -> [Header] {
        guard let data = FileManager.default.contents(atPath: file) else {
            throw TraceSettingsError(
                "\(file), the headersFile of spec.telemetry.traces, cannot be read; write 'Name: value' lines into it, "
                    + "mode 0600")
        }
        let attributes = try? FileManager.default.attributesOfItem(atPath: file)
        guard let mode = (attributes?[.posixPermissions] as? NSNumber)?.intValue, mode & 0o077 == 0 else {
            throw TraceSettingsError("\(file) can be read by others and may hold a secret; run: chmod 600 \(file)")
        }
        var headers: [Header] = []
        for (index, line) in String(decoding: data, as: UTF8.self).split(separator: "\n").enumerated() {
            let parts = line.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            guard parts.count == 2, !parts[0].isEmpty, index < mostLines,
                line.utf8.allSatisfy({ (0x20...0x7E).contains($0) || $0 == 0x0D })
            else {
                throw TraceSettingsError("\(file), line \(index + 1), is no header field; write 'Name: value'")
            }
            headers.append(Header(name: parts[0], value: parts[1].trimmingCharacters(in: .newlines)))
        }
        return headers
    }
}
