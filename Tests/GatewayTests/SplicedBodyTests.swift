import CloudModel
import Foundation
import Gateway
import Testing

extension GatewayTests {
    /// Large bodies of responses go from socket to socket through a pipe; nobody may see a difference.
    @Suite struct SplicedBodies {
        /// `/SIZE` is answered with so many bytes, which tell where they belong and whose they are.
        private static func body(_ size: Int, mark: Int) -> [UInt8] {
            (0..<size).map { UInt8(truncatingIfNeeded: $0 / 251 &+ $0 &+ mark) }
        }

        private static func origin(behind: String = "") throws -> TestOrigin {
            try TestOrigin { connection, origin in
                var count = 0
                while let request = try TestRequest(from: connection) {
                    origin.note(request)
                    count += 1
                    let size = Int(request.target.dropFirst()) ?? 0
                    let head = "HTTP/1.1 200 OK\r\ncontent-length: \(size)\r\n\r\n"
                    try connection.write(Array(head.utf8) + Self.body(size, mark: size) + Array(behind.utf8))
                }
            }
        }

        private static func get(_ size: Int, over client: TestSocket) throws {
            try client.write("GET /\(size) HTTP/1.1\r\nhost: web\r\n\r\n")
            let head = try #require(try client.readHead())
            #expect(head.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(try client.read(size) == Self.body(size, mark: size), "of \(size)")
        }

        @Test func bodiesOfAnySizeArriveAsTheyAreAndAreMetered() async throws {
            let origin = try Self.origin()
            let fixture = try await GatewayFixture.serving(origin)
            let sizes = [0, 1_000, 24_575, 24_576, 40_000, 65_536, 100, 65_536, 3 << 20, 65_537, 10]
            try await blocking {
                let client = try fixture.connect()
                for size in sizes { try Self.get(size, over: client) }
                let records = try fixture.usage(count: sizes.count)
                for (record, size) in zip(records, sizes) {
                    let headBytes = Int(record.bytesOut) - size
                    #expect((100...400).contains(headBytes), "\(record.bytesOut) for a body of \(size)")
                }
            }
            #expect(fixture.gateway.statistics.total("spliced_bytes") > 3 << 20)
            #expect(origin.accepted == 1, "the connection was kept")
            await fixture.stop()
        }

        /// A consumer that takes its time: the response is whole, and booked, while the pipe still holds its end.
        @Test func aSlowConsumerGetsAllOfIt() async throws {
            let size = 1 << 20
            let origin = try Self.origin()
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try fixture.connect(receiveBuffer: 16_384)
                for _ in 0..<3 {
                    try client.write("GET /\(size) HTTP/1.1\r\nhost: web\r\n\r\n")
                    _ = try #require(try client.readHead())
                    var got: [UInt8] = []
                    while got.count < size { got += try client.readSome(min(4_096, size - got.count)) }
                    #expect(got == Self.body(size, mark: size))
                }
                let records = try fixture.usage(count: 3)
                #expect(records.allSatisfy { $0.outcome == .completed && $0.bytesOut > UInt64(size) })
            }
            #expect(fixture.gateway.statistics.total("spliced_bytes") > 0)
            await fixture.stop()
        }

        /// An instance out of step: what it sent behind the body is no one's response.
        @Test func whatFollowsABodyIsNotTheNextResponse() async throws {
            let origin = try Self.origin(behind: "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison")
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                for size in [65_536, 1 << 20, 65_536, 1 << 20] { try Self.get(size, over: fixture.connect()) }
            }
            #expect(origin.accepted == 4, "no connection is used again")
            await fixture.stop()
        }

        @Test func anInstanceThatDiesLeavesNoWholeResponse() async throws {
            let origin = try TestOrigin { connection, _ in
                _ = try TestRequest(from: connection)
                try connection.write("HTTP/1.1 200 OK\r\ncontent-length: 4000000\r\n\r\n")
                try connection.write([UInt8](repeating: 1, count: 2_000_000))
            }
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try fixture.connect()
                try client.write("GET / HTTP/1.1\r\nhost: web\r\n\r\n")
                _ = try #require(try client.readHead())
                #expect(throws: TestSocket.Failure.self) { try client.skip(4_000_000) }
                let record = try #require(try fixture.usage(count: 1).first)
                #expect(record.outcome != .completed)
                #expect(record.bytesOut < 3_000_000)
            }
            await fixture.stop()
        }

        /// Consumers that go away with bytes in their pipes: the next ones get none of them.
        @Test func whatWasOnItsWayToOneConsumerReachesNoOther() async throws {
            let size = 8 << 20
            let origin = try Self.origin()
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                for _ in 1...10 {
                    let client = try fixture.connect(receiveBuffer: 16_384)
                    try client.write("GET /\(size) HTTP/1.1\r\nhost: web\r\n\r\n")
                    _ = try #require(try client.readHead())
                    _ = try client.read(200_000)
                    client.reset()
                    try Self.get(65_536, over: fixture.connect())
                }
                let records = try fixture.usage(count: 20)
                let left = records.filter { $0.outcome == .abortedByConsumer }
                #expect(left.count == 10)
                #expect(left.allSatisfy { $0.bytesOut > 0 && $0.bytesOut < UInt64(size) })
            }
            await fixture.stop()
        }
    }
}
