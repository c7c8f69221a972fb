import CloudModel
import CloudPorts
import Foundation
import Gateway
import Testing

extension GatewayTests {
    @Suite struct Traces {
        private static let trace = "0af7651916cd43dd8448eb211c80319c"
        private static let span = "b7ad6b7169203331"

        private static func settings(_ ratio: String) -> TraceSettings {
            TraceSettings(endpoint: "http://collector", ratio: ExactDecimal(ratio) ?? .zero)
        }

        private static func text(_ span: TraceSpan, _ key: String) -> String? {
            switch span.attributes.first(where: { $0.key == key })?.value {
            case .text(let text): text
            case .number(let number): String(number)
            case nil: nil
            }
        }

        /// One request with these fields: what the instance got, and the spans.
        private static func run(
            _ settings: TraceSettings?, fields: String, path: String = "/a?token=secret"
        ) async throws -> (request: TestRequest, answer: TestResponse, spans: [TraceSpan], port: UInt16) {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin, traces: settings)
            let answer = try await blocking { try fixture.get(path, fields: fields) }
            await fixture.stop()
            let request = try #require(origin.requests.first)
            return (request, answer, fixture.gateway.spans?.takeSpans(limit: 100) ?? [], origin.port)
        }

        @Test func aConsumersTraceIsGoneOnWith() async throws {
            let key = GatewayFixture.key
            let (request, answer, spans, port) = try await Self.run(
                Self.settings("0"),
                fields: "traceparent: 00-\(Self.trace)-\(Self.span)-01\r\ntracestate: rojo=1\r\n"
                    + "user-agent: agent \(key)\r\n")
            try #require(spans.count == 2)
            let (server, client) = (spans[0], spans[1])
            #expect(request["traceparent"] == "00-\(Self.trace)-\(client.id)-01")
            #expect(request["tracestate"] == "rojo=1")
            #expect(server.trace.description == Self.trace && client.trace == server.trace)
            #expect(server.parent?.description == Self.span && client.parent == server.id && client.id != server.id)
            #expect(server.kind == .server && client.kind == .client)
            #expect(server.name == "GET" && client.name == "GET")
            #expect(server.start <= client.start && client.end <= server.end && client.start <= client.end)
            let expected = [
                "http.request.method": "GET", "url.scheme": "http", "url.path": "/a", "server.address": "web",
                "http.response.status_code": "200", "client.address": "127.0.0.1", "network.protocol.version": "1.1",
                "cloudwright.request.id": answer["x-request-id"], "cloudwright.service": "web",
                "cloudwright.instance": "web-\(port)",
            ]
            for (key, value) in expected { #expect(Self.text(server, key) == value, "\(key)") }
            #expect(Self.text(client, "url.full") == "http://127.0.0.1:\(port)/a")
            #expect(Self.text(client, "server.address") == "127.0.0.1")
            #expect(Self.text(client, "server.port") == "\(port)")
            #expect(Self.text(client, "http.response.status_code") == "200")
            #expect(server.failure == nil && client.failure == nil)
            #expect(!"\(spans)".contains("secret=") && !"\(spans)".contains("token"))
            #expect(!"\(spans)".contains(key.dropFirst(12)))
        }

        @Test func aTraceBeginsWithTheRequestsID() async throws {
            let (request, answer, spans, _) = try await Self.run(Self.settings("1"), fields: "tracestate: stray=1\r\n")
            let server = try #require(spans.first)
            #expect(server.trace.description == answer["x-request-id"] && server.parent == nil)
            #expect(request["traceparent"] == "00-\(server.trace)-\(spans[1].id)-01")
            #expect(request["tracestate"] == nil)
        }

        @Test func whatIsNotSampledIsSaidOnAndNotKept() async throws {
            let own = try await Self.run(Self.settings("0"), fields: "")
            #expect(own.spans.isEmpty)
            let field = try #require(own.request["traceparent"])
            #expect(field.hasPrefix("00-\(own.answer["x-request-id"] ?? "?")-") && field.hasSuffix("-00"))
            // The consumer decided, whatever the ratio is.
            let parent = "00-\(Self.trace)-\(Self.span)-02"
            let consumers = try await Self.run(
                Self.settings("1"), fields: "traceparent: \(parent)\r\ntracestate: a=b\r\n")
            #expect(consumers.spans.isEmpty)
            #expect(consumers.request["traceparent"] == parent && consumers.request["tracestate"] == "a=b")
        }

        @Test func withoutTracesFieldsPassAsTheyCome() async throws {
            let (request, _, spans, _) = try await Self.run(nil, fields: "traceparent: whatever\r\ntracestate: a=b\r\n")
            #expect(request["traceparent"] == "whatever" && request["tracestate"] == "a=b" && spans.isEmpty)
        }

        /// W3C Trace Context, sections 3.2.2 and 4.3.
        @Test(arguments: [
            "00-\(trace)-\(span)-01-extra", "ff-\(trace)-\(span)-01", "00-\(trace.uppercased())-\(span)-01",
            "00-00000000000000000000000000000000-\(span)-01", "00-\(trace)-0000000000000000-01", "00-\(trace)-\(span)",
            "00_\(trace)-\(span)-01", "00-\(trace)-\(span)-0g", "01-\(trace)-\(span)-01x", "",
        ])
        func aFieldThatIsNoneBeginsAnew(_ field: String) async throws {
            #expect(TraceContext(traceParent: field, seed: 1) == nil)
        }

        @Test func aLaterVersionIsReadAsFarAsItIsKnown() throws {
            let context = try #require(TraceContext(traceParent: "cc-\(Self.trace)-\(Self.span)-01-what", seed: 7))
            #expect(context.isSampled && String(context.parent, radix: 16) == Self.span)
            #expect(context.text.hasPrefix("00-\(Self.trace)-") && context.text.hasSuffix("-01"))
        }

        @Test func twoOfThemAreNone() async throws {
            let field = "traceparent: 00-\(Self.trace)-\(Self.span)-01\r\n"
            let (request, answer, spans, _) = try await Self.run(Self.settings("1"), fields: field + field)
            #expect(spans.first?.trace.description == answer["x-request-id"])
            #expect(request["traceparent"]?.contains(Self.trace) == false)
        }

        @Test func whatFailsSaysSo() async throws {
            let origin = try TestOrigin { _, _ in }
            let fixture = try await GatewayFixture.serving(origin, traces: Self.settings("1"))
            let answer = try await blocking { try fixture.get("/") }
            await fixture.stop()
            #expect(answer.status == 502)
            let spans = fixture.gateway.spans?.takeSpans(limit: 100) ?? []
            #expect(spans.count == 2 && spans.allSatisfy { $0.failure != nil })
            #expect(spans.first.flatMap { Self.text($0, "error.type") } == "502")
        }

        /// The sampled part of many requests, within six standard deviations.
        @Test func theRatioIsKept() async throws {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin, traces: Self.settings("0.25"))
            try await blocking {
                let client = try fixture.connect()
                for _ in 0..<400 { _ = try client.exchange("GET / HTTP/1.1\r\nhost: web\r\n\r\n") }
            }
            await fixture.stop()
            let spans = fixture.gateway.spans?.takeSpans(limit: 10_000) ?? []
            #expect((48...152).contains(spans.count { $0.kind == .server }))
            #expect(Set(spans.map(\.id)).count == spans.count)
        }
    }
}
