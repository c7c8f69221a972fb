import CloudModel
import Foundation
import Testing

extension GatewayTests {
    @Suite struct Proxying {
        @Test func connectionsAreKeptOnBothSides() async throws {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try fixture.connect()
                for _ in 0..<50 {
                    let response = try client.exchange("GET /a HTTP/1.1\r\nhost: web\r\n\r\n")
                    #expect(response.status == 200)
                    #expect(response.text == "hello")
                    #expect(response["connection"] == nil)
                }
                #expect(origin.accepted == 1)
                #expect(try fixture.usage(count: 50).allSatisfy { $0.outcome == .completed && $0.status == 200 })
            }
            await fixture.stop()
        }

        @Test func pipelinedRequestsAreAnsweredInOrder() async throws {
            let origin = try TestOrigin.http { TestAnswer(body: Array($0.target.utf8) + $0.body) }
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try fixture.connect()
                var requests = ""
                for index in 0..<200 {
                    requests +=
                        index % 2 == 0
                        ? "GET /\(index) HTTP/1.1\r\nhost: web\r\n\r\n"
                        : "POST /\(index) HTTP/1.1\r\nhost: web\r\ncontent-length: 3\r\n\r\nxyz"
                }
                try client.write(requests)
                for index in 0..<200 {
                    let response = try #require(try client.readResponse())
                    #expect(response.text == (index % 2 == 0 ? "/\(index)" : "/\(index)xyz"))
                }
                #expect(try fixture.usage(count: 200).count == 200)
            }
            await fixture.stop()
        }

        @Test func headsAreWrittenAnew() async throws {
            let origin = try TestOrigin.http { _ in
                TestAnswer(fields: ["x-internal: 1", "connection: x-internal", "keep-alive: timeout=5", "server: o"])
            }
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try fixture.connect()
                let response = try client.exchange(
                    "GET /p?q=1 HTTP/1.1\r\nHost: web:81\r\nx-a: b\r\nconnection: x-drop, keep-alive\r\nx-drop: 1\r\n"
                        + "x-forwarded-for: 1.2.3.4\r\nx-request-id: mine\r\n\r\n")
                let request = try #require(origin.requests.first)
                #expect(request.head.hasPrefix("GET /p?q=1 HTTP/1.1\r\n"))
                #expect(request["host"] == "web:81")
                #expect(request["x-a"] == "b")
                #expect(request["x-drop"] == nil)
                #expect(request["x-forwarded-for"] == "127.0.0.1")
                #expect(request["x-forwarded-proto"] == "http")
                #expect(response["x-internal"] == nil)
                #expect(response["keep-alive"] == nil)
                #expect(response["server"] == "o")
                let record = try #require(try fixture.usage(count: 1).first)
                #expect(response["x-request-id"] == record.requestID.description)
                #expect(request["x-request-id"] == record.requestID.description)
            }
            await fixture.stop()
        }

        @Test(arguments: [false, true])
        func chunkedBodiesPassBothWays(_ inPieces: Bool) async throws {
            let origin = try TestOrigin.http { TestAnswer(body: $0.body, isChunked: true) }
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let payload = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
                let client = try fixture.connect()
                try client.write("POST / HTTP/1.1\r\nhost: web\r\ntransfer-encoding: chunked\r\n\r\n")
                var body: [UInt8] = []
                for start in stride(from: 0, to: payload.count, by: 777) {
                    let chunk = payload[start..<min(payload.count, start + 777)]
                    body += Array((String(chunk.count, radix: 16) + ";ext=1\r\n").utf8) + chunk + Array("\r\n".utf8)
                }
                body += Array("0\r\nx-trailer: 1\r\n\r\n".utf8)
                if inPieces {
                    for start in stride(from: 0, to: body.count, by: 4_999) {
                        try client.write(Array(body[start..<min(body.count, start + 4_999)]))
                    }
                } else {
                    try client.write(body)
                }
                let response = try #require(try client.readResponse())
                #expect(response.body == payload)
                // The connection is still in step.
                #expect(try client.exchange("GET / HTTP/1.1\r\nhost: web\r\n\r\n").status == 200)
            }
            await fixture.stop()
        }

        @Test func responsesWithoutBody() async throws {
            let origin = try TestOrigin.http { request in
                switch request.target {
                case "/204": TestAnswer(status: "204 No Content")
                case "/304": TestAnswer(status: "304 Not Modified", fields: ["content-length: 77", "etag: \"x\""])
                default: TestAnswer(body: Array("a body".utf8))
                }
            }
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try fixture.connect()
                for _ in 0..<3 {
                    let head = try client.exchange("HEAD / HTTP/1.1\r\nhost: web\r\n\r\n", method: "HEAD")
                    #expect(head.status == 200)
                    #expect(head["content-length"] == "6")
                    let none = try client.exchange("GET /204 HTTP/1.1\r\nhost: web\r\n\r\n")
                    #expect(none.status == 204)
                    #expect(none["content-length"] == nil)
                    let same = try client.exchange("GET /304 HTTP/1.1\r\nhost: web\r\n\r\n")
                    #expect(same.status == 304)
                    #expect(same["content-length"] == "77")
                    #expect(try client.exchange("GET / HTTP/1.1\r\nhost: web\r\n\r\n").text == "a body")
                }
                #expect(origin.accepted == 1)
            }
            await fixture.stop()
        }

        @Test func closeDelimitedResponsesEndWithTheConnection() async throws {
            let origin = try TestOrigin { connection, _ in
                _ = try TestRequest(from: connection)
                try connection.write("HTTP/1.0 200 OK\r\n\r\n")
                for _ in 0..<100 { try connection.write(Array(repeating: 0x61, count: 1_000)) }
            }
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try fixture.connect()
                let response = try client.exchange("GET / HTTP/1.1\r\nhost: web\r\n\r\n")
                #expect(response.body.count == 100_000)
                #expect(response["connection"] == "close")
                let record = try #require(try fixture.usage(count: 1).first)
                #expect(record.outcome == .completed)
                #expect(record.bytesOut == UInt64(response.head.utf8.count + 100_000))
            }
            await fixture.stop()
        }

        @Test func http10ClientsGetThePayloadWithoutChunks() async throws {
            let origin = try TestOrigin.http { _ in
                TestAnswer(body: Array(repeating: 0x62, count: 50_000), isChunked: true)
            }
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let response = try fixture.connect().exchange("GET / HTTP/1.0\r\nhost: web\r\n\r\n")
                #expect(response["transfer-encoding"] == nil)
                #expect(response.body == Array(repeating: 0x62, count: 50_000))
                let kept = try fixture.connect()
                _ = origin
                let first = try kept.exchange("HEAD / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", method: "HEAD")
                #expect(first["connection"] == "keep-alive")
                #expect(try kept.exchange("HEAD / HTTP/1.0\r\n\r\n", method: "HEAD")["connection"] == "close")
                #expect(try kept.isAtEnd())
            }
            await fixture.stop()
        }

        @Test func continueIsAskedOfTheInstance() async throws {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try fixture.connect()
                try client.write(
                    "POST / HTTP/1.1\r\nhost: web\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n")
                #expect(try client.readResponse()?.status == 100)
                try client.write("world")
                let response = try #require(try client.readResponse())
                #expect(response.text == "world")
                #expect(try client.exchange("GET / HTTP/1.1\r\nhost: web\r\n\r\n").text == "hello")
            }
            await fixture.stop()
        }

        @Test func aFinalAnswerBeforeTheBodyEndsTheConnection() async throws {
            let origin = try TestOrigin { connection, _ in
                _ = try TestRequest(from: connection, readsBody: false)
                try connection.write("HTTP/1.1 413 Too Much\r\ncontent-length: 2\r\n\r\nno")
                _ = try connection.isAtEnd()
            }
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try fixture.connect()
                try client.write(
                    "POST / HTTP/1.1\r\nhost: web\r\nexpect: 100-continue\r\ncontent-length: 500\r\n\r\n")
                let response = try #require(try client.readResponse())
                #expect(response.status == 413)
                #expect(response["connection"] == "close")
                #expect(try client.isAtEnd())
            }
            await fixture.stop()
        }

        @Test func headsMayComeByteByByte() async throws {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try fixture.connect()
                for byte in Array("POST /slow HTTP/1.1\r\nhost: web\r\ncontent-length: 3\r\n\r\nabc".utf8) {
                    try client.write([byte])
                    usleep(200)
                }
                #expect(try client.readResponse()?.text == "abc")
            }
            await fixture.stop()
        }
    }
}
