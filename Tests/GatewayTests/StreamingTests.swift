import CloudModel
import Foundation
import Gateway
import Testing

extension GatewayTests {
    /// Bodies of any size pass in bounded memory, whichever side is slow.
    @Suite struct Streaming {
        private static let size = 200 << 20

        /// Answers `/SIZE` with so many bytes, and counts what it is sent.
        private static func origin(received: Tally = Tally()) throws -> TestOrigin {
            try TestOrigin { connection, _ in
                while let request = try TestRequest(from: connection, readsBody: false) {
                    if let length = request["content-length"].flatMap({ Int($0) }) {
                        try connection.skip(length)
                        received.add(length)
                    }
                    let size = Int(request.target.dropFirst()) ?? 0
                    try connection.write("HTTP/1.1 200 OK\r\ncontent-length: \(size)\r\n\r\n")
                    let block = [UInt8](repeating: 0x63, count: 65_536)
                    for start in stride(from: 0, to: size, by: block.count) {
                        try connection.write(start + block.count <= size ? block : Array(block[..<(size - start)]))
                    }
                }
            }
        }

        @Test func bigBodiesStreamInBoundedMemory() async throws {
            let received = Tally()
            let origin = try Self.origin(received: received)
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try fixture.connect()
                _ = try client.exchange("GET /10 HTTP/1.1\r\nhost: web\r\n\r\n")
                let before = try residentBytes()
                try client.write("GET /\(Self.size) HTTP/1.1\r\nhost: web\r\n\r\n")
                _ = try client.readHead()
                try client.skip(Self.size)
                try client.write("POST /0 HTTP/1.1\r\nhost: web\r\ncontent-length: \(Self.size)\r\n\r\n")
                let block = [UInt8](repeating: 0x64, count: 65_536)
                for _ in 0..<(Self.size / block.count) { try client.write(block) }
                #expect(try client.readResponse()?.status == 200)
                #expect(received.count == Self.size)
                #expect(try residentBytes() - before < 32 << 20)
                let records = try fixture.usage(count: 3)
                #expect(records[1].bytesOut > UInt64(Self.size))
                #expect(records[2].bytesIn > UInt64(Self.size))
            }
            await fixture.stop()
        }

        @Test func aSlowConsumerHoldsTheInstanceBack() async throws {
            let written = Tally()
            let origin = try TestOrigin { connection, _ in
                _ = try TestRequest(from: connection)
                try connection.write("HTTP/1.1 200 OK\r\ncontent-length: \(Self.size)\r\n\r\n")
                let block = [UInt8](repeating: 0x65, count: 65_536)
                for _ in 0..<(Self.size / block.count) {
                    try connection.write(block)
                    written.add(block.count)
                }
            }
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try fixture.connect(receiveBuffer: 16_384)
                let fast = try fixture.connect()
                try client.write("GET / HTTP/1.1\r\nhost: web\r\n\r\n")
                _ = try client.readHead()
                var last = -1
                try waitUntil("the instance is held back") {
                    let now = written.count
                    defer { last = now }
                    if now != last { usleep(100_000) }
                    return now == last
                }
                // What is under way are the kernel's buffers and one of ours.
                #expect(written.count < 32 << 20)
                // The loop is not: other consumers are served meanwhile.
                #expect(try fast.exchange("GET /x HTTP/1.1\r\nhost: none\r\n\r\n", method: "HEAD").status == 200)
                client.reset()
                let record = try #require(try fixture.usage().first ?? fixture.usage(count: 1).first)
                #expect(record.outcome == .abortedByConsumer)
                #expect(record.bytesOut > 0 && record.bytesOut < UInt64(Self.size))
                fast.reset()
            }
            await fixture.stop()
        }

        @Test func aSlowInstanceHoldsTheConsumerBack() async throws {
            let gate = Tally()
            let origin = try TestOrigin { connection, _ in
                let request = try TestRequest(from: connection, readsBody: false)
                try waitUntil("the test lets the instance read") { gate.count > 0 }
                try connection.skip(Int(request?["content-length"] ?? "") ?? 0)
                try connection.write("HTTP/1.1 204 No Content\r\n\r\n")
            }
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try fixture.connect()
                let sent = Tally()
                try client.write("POST / HTTP/1.1\r\nhost: web\r\ncontent-length: \(Self.size)\r\n\r\n")
                Thread.detachNewThread {
                    let block = [UInt8](repeating: 0x66, count: 65_536)
                    for _ in 0..<(Self.size / block.count) {
                        guard (try? client.write(block)) != nil else { return }
                        sent.add(block.count)
                    }
                }
                var last = -1
                try waitUntil("the consumer is held back") {
                    let now = sent.count
                    defer { last = now }
                    if now != last { usleep(100_000) }
                    return now == last && now > 0
                }
                #expect(sent.count < 32 << 20)
                gate.add()
                #expect(try client.readResponse()?.status == 204)
                #expect(try fixture.usage(count: 1).first?.bytesIn ?? 0 > UInt64(Self.size))
            }
            await fixture.stop()
        }

        @Test func anEchoStreamsBothWaysAtOnce() async throws {
            let origin = try TestOrigin { connection, _ in
                _ = try TestRequest(from: connection, readsBody: false)
                try connection.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                while true {
                    let size = Int(try connection.readLine(), radix: 16) ?? 0
                    let payload = try connection.read(size)
                    _ = try connection.readLine()
                    try connection.write(Array((String(size, radix: 16) + "\r\n").utf8) + payload + [13, 10])
                    if size == 0 { return }
                }
            }
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try fixture.connect()
                try client.write("POST / HTTP/1.1\r\nhost: web\r\ntransfer-encoding: chunked\r\n\r\n")
                _ = try client.readHead()
                for round in 0..<200 {
                    let text = "round \(round)"
                    let chunk = String(text.utf8.count, radix: 16) + "\r\n" + text + "\r\n"
                    try client.write(chunk)
                    #expect(String(decoding: try client.read(chunk.utf8.count), as: UTF8.self) == chunk)
                }
                try client.write("0\r\n\r\n")
                #expect(String(decoding: try client.readToEnd(), as: UTF8.self) == "0\r\n\r\n")
            }
            await fixture.stop()
        }
    }
}
