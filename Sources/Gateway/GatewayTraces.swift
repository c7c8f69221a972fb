package import CloudModel
package import CloudPorts
import Glibc
import Synchronization

/// What the spans of a request say besides its record: lies before it in a ring.
struct TraceFigures {
    var context: TraceContext
    /// The beginning of the instance's `sockaddr`; all zero where no instance answered.
    var backend: (UInt64, UInt64, UInt64, UInt64)
    var peerPort: UInt16
    /// How often it was sent to an instance.
    var attempts: UInt16
    var isSecure: Bool
    var isHTTP2: Bool
    var backendSpeaksHTTP2: Bool

    static let size = (MemoryLayout<TraceFigures>.size + 7) & ~7

    /// Address and port of the instance.
    var backendAddress: (text: String, port: Int)? {
        var copy = backend
        return withUnsafeBytes(of: &copy) { bytes in
            let family = Int32(bytes.loadUnaligned(as: sa_family_t.self))
            guard family == AF_INET || family == AF_INET6, let base = bytes.baseAddress else { return nil }
            var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
            guard inet_ntop(family, base + (family == AF_INET ? 4 : 8), &text, socklen_t(text.count)) != nil else {
                return nil
            }
            let octets = text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:))
            return (String(decoding: octets, as: UTF8.self), Int(bytes[2]) << 8 | Int(bytes[3]))
        }
    }
}

/// The spans of requests: what the loops recorded, made into spans by whoever sends them.
final class GatewayTraces: SpanSource, @unchecked Sendable {
    /// By loop.
    let rings: [AccessLogRing]
    /// Of 2^56 trace ids, how many are sampled.
    let threshold: UInt64
    /// A ring has one reader.
    private let reading = Mutex(())

    init(_ settings: TraceSettings, loops: Int) {
        threshold = settings.threshold
        rings = (0..<loops).map { _ in AccessLogRing() }
    }

    deinit { for ring in rings { ring.deallocate() } }

    var dropped: UInt64 { rings.reduce(0) { $0 + $1.dropped } }

    func takeSpans(limit: Int) -> [TraceSpan] {
        reading.withLock { _ in
            var spans: [TraceSpan] = []
            for ring in rings {
                while spans.count < limit, ring.takeFirst({ spans += Self.spans($0) }) {}
            }
            return spans
        }
    }

    private static func spans(_ bytes: UnsafeRawBufferPointer) -> [TraceSpan] {
        RequestSpans(
            figures: bytes.loadUnaligned(as: TraceFigures.self),
            record: AccessRecord(UnsafeRawBufferPointer(rebasing: bytes[TraceFigures.size...]))
        ).spans
    }
}

/// The spans of one request, by OpenTelemetry's semantic conventions for HTTP (version 1.27, stable).
struct RequestSpans {
    var figures: TraceFigures
    var record: AccessRecord

    var spans: [TraceSpan] { [server] + (client.map { [$0] } ?? []) }

    private var trace: TraceID { TraceID(high: figures.context.high, low: figures.context.low) }
    private var end: Timestamp { record.receivedAt + TimeSpan(microseconds: record.durationMicroseconds) }
    private func text(_ octets: [UInt8]) -> String { String(decoding: octets, as: UTF8.self) }
    private var path: String { text(AccessLine.withoutKeys(record.path)) }

    /// The methods that a span's name may have, so that strangers cannot make up names.
    private static let methods: Set<String> = [
        "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE",
    ]

    private var server: TraceSpan {
        var span = TraceSpan(
            trace: trace, id: SpanID(figures.context.server),
            parent: figures.context.parent == 0 ? nil : SpanID(figures.context.parent), kind: .server, name: name,
            start: record.receivedAt, end: end)
        addMethod(to: &span)
        span.add("url.scheme", figures.isSecure ? "https" : "http")
        span.add("url.path", path)
        if record.status > 0 { span.add("http.response.status_code", record.status) }
        span.add("client.address", text(record.client))
        span.add("network.peer.port", figures.peerPort)
        let host = Self.parts(ofHost: text(record.host))
        span.add("server.address", host.address)
        if let port = host.port { span.add("server.port", port) }
        span.add("network.protocol.version", figures.isHTTP2 ? "2" : record.isHTTP10 ? "1.0" : "1.1")
        span.add("user_agent.original", text(AccessLine.withoutKeys(record.userAgent)))
        addPlatform(to: &span)
        if let error = record.status >= 500 ? "\(record.status)" : brokenOff {
            span.add("error.type", error)
            span.failure = ""
        }
        return span
    }

    /// The last time that it was sent to an instance.
    private var client: TraceSpan? {
        guard let duration = record.instanceMicroseconds else { return nil }
        var span = TraceSpan(
            trace: trace, id: SpanID(figures.context.client), parent: SpanID(figures.context.server), kind: .client,
            name: name, start: max(record.receivedAt, end - TimeSpan(microseconds: duration)), end: end)
        addMethod(to: &span)
        if let address = figures.backendAddress {
            let host = address.text.contains(":") ? "[\(address.text)]" : address.text
            span.add("url.full", "http://\(host):\(address.port)\(path)")
            span.add("server.address", address.text)
            span.add("server.port", address.port)
        }
        if figures.attempts > 1 { span.add("http.request.resend_count", figures.attempts - 1) }
        span.add("network.protocol.version", figures.backendSpeaksHTTP2 ? "2" : "1.1")
        addPlatform(to: &span)
        guard !record.instance.isEmpty else {
            span.add("error.type", "_OTHER")
            span.failure = "no answer of an instance: \(record.outcome)"
            return span
        }
        if record.status > 0 { span.add("http.response.status_code", record.status) }
        if let error = record.status >= 400 ? "\(record.status)" : brokenOff {
            span.add("error.type", error)
            span.failure = ""
        }
        return span
    }

    /// What ended the answer before its time.
    private var brokenOff: String? { record.outcome == .abortedByInstance ? "aborted-by-instance" : nil }

    private var name: String {
        let method = text(record.method)
        return Self.methods.contains(method) ? method : "HTTP"
    }

    private func addMethod(to span: inout TraceSpan) {
        let method = text(record.method)
        if Self.methods.contains(method) {
            span.add("http.request.method", method)
        } else {
            span.add("http.request.method", "_OTHER")
            span.add("http.request.method_original", method)
        }
    }

    private func addPlatform(to span: inout TraceSpan) {
        span.add("cloudwright.request.id", record.requestID.description)
        span.add("cloudwright.service", text(record.service))
        span.add("cloudwright.instance", text(record.instance))
        span.add("cloudwright.consumer", text(record.consumer))
    }

    /// `example.org:8080`, `[::1]:80`, `example.org`.
    private static func parts(ofHost host: String) -> (address: String, port: Int?) {
        let end = host.lastIndex(of: "]").map { host.index(after: $0) } ?? host.firstIndex(of: ":") ?? host.endIndex
        let address = host[..<end].filter { $0 != "[" && $0 != "]" }
        return (String(address), host[end...].first == ":" ? Int(host[end...].dropFirst()) : nil)
    }
}
