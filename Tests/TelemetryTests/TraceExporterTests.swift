import CloudModel
import CloudPorts
import Foundation
import Logging
import Synchronization
import Telemetry
import Testing

/// Spans that wait to be taken.
private final class Waiting: SpanSource {
    private let spans: Mutex<[TraceSpan]>

    init(_ spans: [TraceSpan]) { self.spans = Mutex(spans) }

    var dropped: UInt64 { 7 }

    func takeSpans(limit: Int) -> [TraceSpan] {
        spans.withLock { spans in
            defer { spans.removeFirst(min(limit, spans.count)) }
            return Array(spans.prefix(limit))
        }
    }
}

private func span(_ number: UInt64) -> TraceSpan {
    var span = TraceSpan(
        trace: TraceID(high: 1, low: number), id: SpanID(number), parent: SpanID(0xAB), kind: .server, name: "GET",
        start: Timestamp(microseconds: 1_790_000_000_000_001), end: Timestamp(microseconds: 1_790_000_000_000_002))
    span.add("url.path", "/\"ü/")
    span.add("http.response.status_code", 503)
    span.links = [TraceSpan.Link(trace: TraceID(high: 2, low: 3), span: SpanID(4), relation: "effect")]
    span.failure = "late"
    return span
}

private func exporter(
    _ settings: TraceSettings, _ spans: [TraceSpan]
) throws -> TraceExporter {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    return try TraceExporter(
        settings, from: TraceDocument.Resource(instance: "gate", version: "1.2"), sources: [Waiting(spans)],
        pause: .milliseconds(1), logger: logger)
}

@Suite struct TraceExporterTests {
    /// Runs until the condition holds, and then to the exporter's end.
    private func run(_ exporter: TraceExporter, until done: () -> Bool) async throws {
        let task = Task { await exporter.run() }
        let deadline = ContinuousClock.now + .seconds(30)
        while !done() {
            try #require(ContinuousClock.now < deadline, "the exporter does not get there")
            try await Task.sleep(for: .milliseconds(5))
        }
        task.cancel()
        await task.value
        await exporter.finish()
    }

    /// What comes after the end of `run` is sent all the same.
    @Test func theRestIsSentAtTheEnd() async throws {
        let collector = try Collector()
        defer { collector.close() }
        let exporter = try exporter(TraceSettings(endpoint: collector.endpoint), [span(1), span(2)])
        let task = Task { await exporter.finish() }
        task.cancel()
        await task.value
        #expect(exporter.totals.exported == 2 && collector.posts.count == 1)
    }

    @Test func spansArriveInBatchesWithTheirHeaders() async throws {
        let collector = try Collector()
        defer { collector.close() }
        let file = NSTemporaryDirectory() + "headers-\(UUID())"
        defer { try? FileManager.default.removeItem(atPath: file) }
        let made = FileManager.default.createFile(
            atPath: file, contents: Data("Authorization: Bearer s3cret\nx-scope: a b\n".utf8),
            attributes: [.posixPermissions: 0o600])
        try #require(made)
        let count = TraceExporter.batchSize + 3
        let exporter = try exporter(
            TraceSettings(endpoint: collector.endpoint + "/", headersFile: file), (1...UInt64(count)).map(span))
        try await run(exporter) { exporter.totals.exported == count }
        let posts = collector.posts
        #expect(posts.count == 2)
        for post in posts {
            #expect(post.target == "POST /v1/traces HTTP/1.1")
            #expect(post.fields["content-type"] == "application/json")
            #expect(post.fields["authorization"] == "Bearer s3cret" && post.fields["x-scope"] == "a b")
        }
        let ids = try posts.flatMap { try ProtoJSON.spans(in: $0.body).map { $0["spanId"] as? String } }
        #expect(Set(ids).count == count)
        #expect(exporter.totals == TraceExporter.Totals(exported: UInt64(count), failed: 0, dropped: 7))
    }

    @Test func whatMayBeTakenLaterIsSentAgain() async throws {
        let collector = try Collector([(503, ""), (429, ""), (200, "")])
        defer { collector.close() }
        let exporter = try exporter(TraceSettings(endpoint: collector.endpoint), [span(1)])
        try await run(exporter) { exporter.totals.exported == 1 }
        #expect(collector.posts.count == 3 && Set(collector.posts.map(\.body)).count == 1)
        #expect(exporter.totals.failed == 0)
    }

    @Test func whatIsRefusedIsCountedAndNotSentAgain() async throws {
        let collector = try Collector([(400, "")])
        defer { collector.close() }
        let exporter = try exporter(TraceSettings(endpoint: collector.endpoint), [span(1), span(2)])
        try await run(exporter) { exporter.totals.failed == 2 }
        #expect(collector.posts.count == 1 && exporter.totals.exported == 0)
    }

    @Test(arguments: ["\"1\"", "1"])
    func aPartialSuccessIsCounted(_ number: String) async throws {
        let collector = try Collector([(200, "{\"partialSuccess\":{\"rejectedSpans\":\(number)}}")])
        defer { collector.close() }
        let exporter = try exporter(TraceSettings(endpoint: collector.endpoint), [span(1), span(2), span(3)])
        try await run(exporter) { exporter.totals.exported == 2 }
        #expect(exporter.totals.failed == 1)
    }

    @Test func aCollectorThatIsAwayCostsItsSpansAlone() async throws {
        let collector = try Collector()
        collector.close()
        let exporter = try exporter(TraceSettings(endpoint: "http://127.0.0.1:1"), [span(1)])
        try await run(exporter) { exporter.totals.failed == 1 }
    }

    @Test func aHeadersFileThatOthersCanReadIsRefused() throws {
        let file = NSTemporaryDirectory() + "headers-\(UUID())"
        defer { try? FileManager.default.removeItem(atPath: file) }
        func write(_ text: String, mode: Int) {
            let made = FileManager.default.createFile(
                atPath: file, contents: Data(text.utf8), attributes: [.posixPermissions: mode])
            #expect(made)
        }
        func failure() -> String {
            do throws(TraceSettingsError) {
                _ = try TraceExporter(
                    TraceSettings(endpoint: "http://c", headersFile: file),
                    from: TraceDocument.Resource(instance: "", version: ""), sources: [], logger: Logger(label: "test"))
                return ""
            } catch {
                return error.description
            }
        }
        #expect(failure().contains("cannot be read"))
        write("a: b\n", mode: 0o644)
        #expect(failure().contains("chmod 600 \(file)"))
        try FileManager.default.removeItem(atPath: file)
        write("a: b\nnonsense\n", mode: 0o600)
        #expect(failure().contains("line 2"))
    }
}

@Suite struct TraceDocumentTests {
    @Test func theDocumentIsWhatTheProtocolSays() throws {
        let data = try TraceDocument([span(9)], from: TraceDocument.Resource(instance: "gate", version: "1.2")).data
        #expect(try ProtoJSON.faults(in: data) == [])
        let found = try #require(try ProtoJSON.spans(in: data).first)
        #expect(found["traceId"] as? String == "00000000000000010000000000000009")
        #expect(found["spanId"] as? String == "0000000000000009")
        #expect(found["parentSpanId"] as? String == "00000000000000ab")
        #expect(found["startTimeUnixNano"] as? String == "1790000000000001000")
        #expect(found["endTimeUnixNano"] as? String == "1790000000000002000")
        #expect(found["kind"] as? Int == 2)
        #expect((found["status"] as? [String: Any])?["code"] as? Int == 2)
    }

    /// The checker itself finds what is wrong.
    @Test(arguments: [
        #"{"resource_spans":[]}"#, #"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"qg=="}]}]}]}"#,
        #"{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":1}]}]}]}"#,
        #"{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":"SPAN_KIND_SERVER"}]}]}]}"#,
        #"{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":{"intValue":3}}]}}]}"#,
    ])
    func theCheckerSeesWhatIsWrong(_ text: String) throws {
        #expect(try ProtoJSON.faults(in: Data(text.utf8)) != [])
    }
}
