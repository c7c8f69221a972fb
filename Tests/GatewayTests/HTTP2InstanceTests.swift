import CloudModel
import Foundation
import Gateway
import Synchronization
import Testing

extension GatewayTests {
    /// Instances that speak HTTP/2, which gRPC needs.
    @Suite struct HTTP2Instances {
        /// An instance: tells each frame to `answer`, after the connection has noted it.
        private static func origin(
            settings: [(UInt16, UInt32)] = [],
            _ answer: @escaping @Sendable (HTTP2Connection, HTTP2Connection.Frame) throws -> Void
        ) throws -> TestOrigin {
            try TestOrigin { socket, _ in
                let connection = try HTTP2Connection(accepted: socket, settings: settings)
                while let frame = try connection.next() { try answer(connection, frame) }
            }
        }

        /// Answers a request that is whole with its path and body, as gRPC does: the outcome in the trailers.
        private static func echo(_ connection: HTTP2Connection, _ frame: HTTP2Connection.Frame) throws {
            guard frame.type < 2, frame.flags & HTTP2Connection.endStream != 0,
                let message = connection.messages[frame.stream]
            else { return }
            let path = message.heads[0].first { $0.name == ":path" }?.value ?? ""
            try connection.sendHead(
                frame.stream, [(":status", "200"), ("content-type", "application/grpc")], ends: false)
            try connection.sendData(frame.stream, Array(path.utf8) + message.body)
            try connection.sendHead(frame.stream, [("grpc-status", "0")])
        }

        private static func serving(
            _ origins: TestOrigin..., change: (inout CloudService) -> Void = { _ in }
        ) async throws -> GatewayFixture {
            let fixture = try GatewayFixture()
            var service = GatewayFixture.service
            service.gateway.instanceProtocol = .http2
            change(&service)
            await fixture.apply(service, origins.map(\.port))
            return fixture
        }

        @Test func aUnaryCallPassesWithItsTrailers() async throws {
            let heads = Mutex<[(name: String, value: String)]>([])
            let origin = try Self.origin { connection, frame in
                if frame.type == 1, let head = connection.messages[frame.stream]?.heads.first {
                    heads.withLock { $0 = head }
                }
                try Self.echo(connection, frame)
            }
            let fixture = try await Self.serving(origin)
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                let answer = try client.exchange(
                    1, "POST", "/service/Method", [("te", "trailers"), ("content-type", "application/grpc")],
                    body: [0, 0, 0, 0, 2, 1, 2])
                #expect(answer.status == 200)
                #expect(answer["content-type"] == "application/grpc")
                #expect(answer.body == Array("/service/Method".utf8) + [0, 0, 0, 0, 2, 1, 2])
                #expect(answer.trailers.map(\.name) == ["grpc-status"])
                let head = heads.withLock { $0 }
                #expect(head.prefix(4).map(\.name).sorted() == [":authority", ":method", ":path", ":scheme"])
                #expect(head.contains { $0 == ("te", "trailers") })
                #expect(!head.contains { ["connection", "transfer-encoding", "host"].contains($0.name) })
                #expect(head.contains { $0.name == "x-request-id" })
                let record = try fixture.usage(count: 1)[0]
                #expect(record.outcome == .completed)
                #expect(record.instance == InstanceID("web-\(origin.port)"))
            }
            await fixture.stop()
        }

        @Test func aStreamingCallGoesBothWaysAtATime() async throws {
            let origin = try Self.origin { connection, frame in
                let isLast = frame.flags & HTTP2Connection.endStream != 0
                if frame.type == 1 {
                    try connection.sendHead(frame.stream, [(":status", "200")], ends: false)
                } else if frame.type == 0 {
                    if !frame.payload.isEmpty { try connection.sendData(frame.stream, frame.payload) }
                    if isLast { try connection.sendHead(frame.stream, [("grpc-status", "0")]) }
                }
            }
            let fixture = try await Self.serving(origin)
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                try client.sendHead(1, HTTP2Connection.request("POST", "/stream", [("te", "trailers")]), ends: false)
                for count in 1...20 {
                    try client.sendData(1, [UInt8](repeating: UInt8(count), count: 10))
                    try client.read("message \(count) is back") { $0.messages[1]?.body.count == 10 * count }
                }
                try client.sendData(1, [], ends: true)
                let answer = try client.response(on: 1)
                #expect(answer.body.count == 200)
                #expect(answer.trailers.first?.value == "0")
            }
            await fixture.stop()
        }

        @Test func requestsShareAConnectionAlsoFromHTTP1() async throws {
            let held = Mutex<[(HTTP2Connection, HTTP2Connection.Frame)]>([])
            let origin = try Self.origin { connection, frame in
                guard frame.type == 1 else { return }
                let all = held.withLock { held in
                    held.append((connection, frame))
                    return held.count == 5 ? held : []
                }
                for (connection, frame) in all { try Self.echo(connection, frame) }
            }
            let fixture = try await Self.serving(origin)
            let answers = try await concurrently(5) { index in try fixture.get("/\(index)").text }
            #expect(answers == (0..<5).map { "/\($0)" })
            #expect(origin.accepted == 1)
            #expect(fixture.gateway.statistics.total("http2_instance_streams") == 5)
            await fixture.stop()
        }

        @Test func answersWithoutContentPass() async throws {
            let origin = try Self.origin { connection, frame in
                guard frame.type == 1 else { return }
                try connection.sendHead(frame.stream, [(":status", "103"), ("link", "</a>")], ends: false)
                try connection.sendHead(frame.stream, [(":status", "200"), ("x-only", "head")])
            }
            let fixture = try await Self.serving(origin)
            try await blocking {
                let client = try fixture.connect()
                try client.write("GET / HTTP/1.1\r\nhost: web\r\n\r\n")
                #expect(try client.readResponse()?.status == 103)
                let answer = try #require(try client.readResponse())
                #expect(answer["content-length"] == "0")
                #expect(answer["x-only"] == "head")
                try client.write("HEAD / HTTP/1.1\r\nhost: web\r\n\r\n")
                #expect(try client.readResponse(to: "HEAD")?.status == 103)
                #expect(try client.readResponse(to: "HEAD")?["content-length"] == nil)
            }
            await fixture.stop()
        }

        @Test func aRefusedStreamGoesElsewhere() async throws {
            let refused = Tally()
            let refusing = try Self.origin { connection, frame in
                guard frame.type == 1 else { return }
                refused.add()
                try connection.send(.reset, 0, frame.stream, HTTP2Connection.bytes(7))
            }
            let serving = try Self.origin(Self.echo)
            let fixture = try await Self.serving(refusing, serving) { $0.loadBalancing.algorithm = .roundRobin }
            try await blocking {
                for index in 0..<4 {
                    // Not idempotent: only what was surely not done may be repeated.
                    let answer = try fixture.connect().exchange(
                        "POST /\(index) HTTP/1.1\r\nhost: web\r\ncontent-length: 1\r\n\r\nx")
                    #expect(answer.text == "/\(index)x")
                }
                #expect(refused.count > 0)
            }
            await fixture.stop()
        }

        @Test func anInstanceThatDiesIsReported() async throws {
            let origin = try Self.origin { connection, frame in
                guard frame.type == 1 else { return }
                let path = connection.messages[frame.stream]?.heads[0].first { $0.name == ":path" }?.value
                if path == "/begun" {
                    try connection.sendHead(frame.stream, [(":status", "200"), ("content-length", "9")], ends: false)
                    try connection.sendData(frame.stream, [1, 2, 3])
                }
                connection.socket.cut()
            }
            let fixture = try await Self.serving(origin) { $0.gateway.maximumRetries = 0 }
            try await blocking {
                #expect(try fixture.get("/silent").status == 502)
                let client = try fixture.connect()
                try client.write("GET /begun HTTP/1.1\r\nhost: web\r\n\r\n")
                _ = try client.readHead()
                #expect(try client.readToEnd() == [1, 2, 3])
                origin.kill()
                let outcomes = try fixture.usage(count: 2).map(\.outcome)
                #expect(outcomes == [.failed, .abortedByInstance])
                #expect(try fixture.get("/gone").status == 502)
            }
            await fixture.stop()
        }

        @Test func bigBodiesPassBothWays() async throws {
            let size = 8 << 20
            let origin = try Self.origin { connection, frame in
                guard frame.type == 0, frame.flags & HTTP2Connection.endStream != 0 else { return }
                let count = connection.messages[frame.stream]?.received ?? 0
                try connection.sendHead(
                    frame.stream, [(":status", "200"), ("content-length", "\(count)")], ends: false)
                let block = [UInt8](repeating: 0x65, count: 16_384)
                for start in stride(from: 0, to: count, by: block.count) {
                    try connection.read("the windows are open") { $0.mayHaveSent(block.count, on: frame.stream) }
                    try connection.sendData(frame.stream, block, ends: start + block.count == count)
                }
            }
            let fixture = try await Self.serving(origin)
            try await blocking {
                let client = try fixture.connect()
                try client.write("POST / HTTP/1.1\r\nhost: web\r\ncontent-length: \(size)\r\n\r\n")
                let block = [UInt8](repeating: 0x66, count: 65_536)
                for _ in 0..<(size / block.count) { try client.write(block) }
                #expect(try client.readHead()?.contains("200") == true)
                try client.skip(size)
                let record = try fixture.usage(count: 1)[0]
                #expect(record.bytesIn > UInt64(size) && record.bytesOut > UInt64(size))
            }
            await fixture.stop()
        }
    }
}
