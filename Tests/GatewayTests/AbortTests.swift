import CloudModel
import Foundation
import Testing

extension GatewayTests {
    /// Either side may go at any moment: what had moved is booked, and nothing stays held.
    @Suite struct Aborts {
        @Test func aConsumerThatLeavesWhileTheInstanceThinks() async throws {
            let origin = try TestOrigin { connection, origin in
                while let request = try TestRequest(from: connection) { origin.note(request) }
            }
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try fixture.connect()
                try client.write("GET / HTTP/1.1\r\nhost: web\r\n\r\n")
                try waitUntil("the instance has the request") { origin.requests.count == 1 }
                client.close()
                let record = try #require(try fixture.usage(count: 1).first)
                #expect(record.outcome == .abortedByConsumer)
                #expect(record.status == 0)
                #expect(record.bytesOut == 0)
                #expect(record.instance == InstanceID("web-\(origin.port)"))
                // The instance is told, too: nobody wants its answer.
                try waitUntil("the connection to the instance is closed") { origin.openConnections == 0 }
            }
            await fixture.stop()
        }

        @Test func aConsumerThatHasFinishedWritingStillReads() async throws {
            let origin = try TestOrigin.http { request in
                usleep(100_000)
                return TestAnswer(body: request.body)
            }
            // One that finishes later than its request is taken for gone. So there is no instance yet, for which the
            // gateway would read the whole body: what it has no buffer for is still there when the end comes.
            let fixture = try await GatewayFixture.serving()
            let client = try await blocking {
                let client = try fixture.connect()
                try client.write("POST / HTTP/1.1\r\nhost: web\r\ncontent-length: 50000\r\n\r\n")
                try client.write(Array(repeating: 0x61, count: 50_000))
                client.finishWriting()
                return client
            }
            await fixture.apply(GatewayFixture.service, [origin.port])
            try await blocking {
                let response = try #require(try client.readResponse())
                #expect(response.body.count == 50_000)
                #expect(try client.isAtEnd())
            }
            await fixture.stop()
        }

        @Test func aConsumerThatBreaksOffItsRequest() async throws {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try fixture.connect()
                let head = "POST / HTTP/1.1\r\nhost: web\r\ncontent-length: 1000\r\n\r\n"
                try client.write(head + "abc")
                try waitUntil("the instance has the request's beginning") { origin.openConnections == 1 }
                client.finishWriting()
                let record = try #require(try fixture.usage(count: 1).first)
                #expect(record.outcome == .abortedByConsumer)
                #expect(record.bytesIn == UInt64(head.utf8.count + 3))
                #expect(try client.isAtEnd())
                #expect(origin.requests.isEmpty)
            }
            await fixture.stop()
        }

        @Test(arguments: ["content-length: 1000\r\n", "transfer-encoding: chunked\r\n"])
        func anInstanceThatBreaksOffItsResponse(_ framing: String) async throws {
            let origin = try TestOrigin { connection, _ in
                _ = try TestRequest(from: connection)
                let start = framing.contains("chunked") ? "3e8\r\nabc" : "abc"
                try connection.write("HTTP/1.1 200 OK\r\n\(framing)\r\n\(start)")
            }
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try fixture.connect()
                try client.write("GET / HTTP/1.1\r\nhost: web\r\n\r\n")
                let head = try #require(try client.readHead())
                let rest = (try? client.readToEnd()) ?? []
                #expect(!rest.isEmpty && rest.count < 20)
                let record = try #require(try fixture.usage(count: 1).first)
                #expect(record.outcome == .abortedByInstance)
                #expect(record.status == 200)
                #expect(record.bytesOut == UInt64(head.utf8.count + rest.count))
            }
            await fixture.stop()
        }

        /// Only a reset tells a consumer that reads to the end of the connection that the end is not the end.
        @Test func aTruncatedCloseDelimitedResponseEndsInAReset() async throws {
            let origin = try TestOrigin { connection, _ in
                _ = try TestRequest(from: connection)
                try connection.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
                usleep(50_000)
            }
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try fixture.connect()
                try client.write("GET / HTTP/1.0\r\nhost: web\r\n\r\n")
                _ = try client.readHead()
                #expect(try client.read(5) == Array("hello".utf8))
                #expect(throws: TestSocket.Failure.self) { try client.readToEnd() }
                #expect(try fixture.usage(count: 1).first?.outcome == .abortedByInstance)
            }
            await fixture.stop()
        }

        @Test func aMalformedResponseIsABadGateway() async throws {
            let origin = try TestOrigin { connection, _ in
                _ = try TestRequest(from: connection)
                try connection.write("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab")
                _ = try connection.isAtEnd()
            }
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try fixture.connect()
                let response = try client.exchange("GET / HTTP/1.1\r\nhost: web\r\n\r\n")
                #expect(response.status == 502)
                #expect(response.json["type"] as? String == "urn:cloudwright:problem:bad-gateway")
                let record = try #require(try fixture.usage(count: 1).first)
                #expect(record.outcome == .failed)
                #expect(record.instance == nil)
                #expect(record.status == 502)
            }
            await fixture.stop()
        }

        @Test func anInstanceOutOfStepIsNotAskedAgain() async throws {
            let origin = try TestOrigin { connection, _ in
                while try TestRequest(from: connection) != nil {
                    try connection.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n")
                }
            }
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try fixture.connect()
                for _ in 0..<3 { #expect(try client.exchange("GET / HTTP/1.1\r\nhost: web\r\n\r\n").text == "ok") }
                #expect(origin.accepted == 3)
            }
            await fixture.stop()
        }
    }
}
