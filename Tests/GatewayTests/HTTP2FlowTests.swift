import CloudModel
import Foundation
import Gateway
import Testing

extension GatewayTests {
    /// Bodies over HTTP/2: any size, in bounded memory, none at the cost of another.
    @Suite struct HTTP2Flow {
        private static let size = 50 << 20

        /// Answers `/SIZE` with so many bytes after having read what it was sent.
        private static func origin(received: Tally = Tally(), sent: Tally = Tally()) throws -> TestOrigin {
            try TestOrigin { connection, _ in
                while let request = try TestRequest(from: connection, readsBody: false) {
                    if let length = request["content-length"].flatMap({ Int($0) }) {
                        try connection.skip(length)
                        received.add(length)
                    }
                    let size = Int(request.target.dropFirst().prefix { $0 != "/" }) ?? 0
                    try connection.write("HTTP/1.1 200 OK\r\ncontent-length: \(size)\r\n\r\n")
                    let block = [UInt8](repeating: 0x63, count: 65_536)
                    for start in stride(from: 0, to: size, by: block.count) {
                        let count = min(block.count, size - start)
                        try connection.write(count == block.count ? block : Array(block[..<count]))
                        sent.add(count)
                    }
                }
            }
        }

        @Test func bigBodiesStreamInBoundedMemory() async throws {
            let received = Tally()
            let origin = try Self.origin(received: received)
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                client.keepsBodies = false
                _ = try client.exchange(1, "GET", "/10")
                let before = try residentBytes()
                let answer = try client.exchange(3, "GET", "/\(Self.size)")
                #expect(answer.received == Self.size)
                try client.sendHead(
                    5, HTTP2Connection.request("POST", "/0", [("content-length", "\(Self.size)")]), ends: false)
                let block = [UInt8](repeating: 0x64, count: 16_384)
                for start in stride(from: 0, to: Self.size, by: block.count) {
                    try client.read("the windows are open") { $0.mayHaveSent(block.count, on: 5) }
                    try client.sendData(5, block, ends: start + block.count == Self.size)
                }
                #expect(try client.response(on: 5).status == 200)
                #expect(received.count == Self.size)
                #expect(try residentBytes() - before < 24 << 20)
                let records = try fixture.usage(count: 3)
                #expect(records[1].bytesOut > UInt64(Self.size))
                #expect(records[2].bytesIn > UInt64(Self.size))
            }
            await fixture.stop()
        }

        @Test func aStreamThatIsNotReadHoldsItsInstanceBackAndNoOther() async throws {
            let sent = Tally()
            let origin = try Self.origin(sent: sent)
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                try client.openWindow(0, 1 << 30)
                client.reads = false
                try client.sendHead(1, HTTP2Connection.request("GET", "/\(Self.size)"))
                try client.read("the window of the first is used up") { $0.messages[1]?.body.count == 65_535 }
                client.reads = true
                for stream in stride(from: UInt32(3), to: 43, by: 2) {
                    #expect(try client.exchange(stream, "GET", "/1000").body.count == 1_000)
                }
                #expect(client.messages[1]?.body.count == 65_535)
                #expect(sent.count < Self.size / 2)
                try client.send(.reset, 0, 1, HTTP2Connection.bytes(8))
                let records = try fixture.usage(count: 21)
                let aborted = records.filter { $0.outcome == .abortedByConsumer }
                #expect(aborted.count == 1)
                #expect((65_535...66_535).contains(aborted[0].bytesOut))
            }
            await fixture.stop()
        }

        @Test func anUploadThatItsInstanceDoesNotTakeIsHeldBack() async throws {
            let gate = Tally()
            let origin = try TestOrigin { connection, origin in
                while let request = try TestRequest(from: connection, readsBody: false) {
                    origin.note(request)
                    if request.method == "POST" {
                        try waitUntil("the test lets the instance read") { gate.count > 0 }
                        try connection.skip(Self.size)
                    }
                    try connection.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                }
            }
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                try client.sendHead(
                    1, HTTP2Connection.request("POST", "/", [("content-length", "\(Self.size)")]), ends: false)
                let block = [UInt8](repeating: 0x64, count: 16_384)
                var count = 0
                // Sends as long as there is a window; a ping whose answer comes without one tells that it is used up.
                while true {
                    let pings = client.pings
                    try client.send(.ping, 0, 0, [0, 0, 0, 0, 0, 0, 0, 0])
                    try client.read("a ping is answered") { $0.pings > pings }
                    guard client.mayHaveSent(block.count, on: 1), count + block.count <= Self.size else { break }
                    try client.sendData(1, block)
                    count += block.count
                }
                #expect(count < Self.size / 2)
                // The connection has room for others.
                #expect(try client.exchange(3).text == "ok")
                gate.add()
                while count < Self.size {
                    try client.read("the windows are open") { $0.mayHaveSent(block.count, on: 1) }
                    try client.sendData(1, block, ends: count + block.count == Self.size)
                    count += block.count
                }
                #expect(try client.response(on: 1).text == "ok")
            }
            await fixture.stop()
        }

        @Test func streamsShareTheConnection() async throws {
            let size = 20 << 20
            let tallies = (0..<4).map { _ in Tally() }
            let origin = try TestOrigin { connection, _ in
                guard let request = try TestRequest(from: connection) else { return }
                let tally = tallies[Int(request.target.dropFirst()) ?? 0]
                try connection.write("HTTP/1.1 200 OK\r\ncontent-length: \(size)\r\n\r\n")
                let block = [UInt8](repeating: 0x63, count: 65_536)
                for _ in 0..<(size / block.count) {
                    try connection.write(block)
                    tally.add(block.count)
                }
            }
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try HTTP2Connection(
                    port: fixture.port, settings: [(4, 1 << 30)], receiveBuffer: 32 * 1_024)
                client.keepsBodies = false
                client.reads = false
                try client.openWindow(0, 1 << 30)
                for (index, stream) in [UInt32(1), 3, 5, 7].enumerated() {
                    try client.sendHead(stream, HTTP2Connection.request("GET", "/\(index)"))
                }
                // Nothing is read before every instance has more to send than has room on the way.
                try waitUntil("all instances are held back") { tallies.allSatisfy { $0.count > 128 * 1_024 } }
                // When the first is whole, none of the others is far behind.
                try client.read("one is whole") { client in
                    [1, 3, 5, 7].contains { client.messages[$0]?.hasEnded == true }
                }
                let least = [UInt32(1), 3, 5, 7].map { client.messages[$0]?.received ?? 0 }.min() ?? 0
                #expect(least > size / 3)
                for stream in [UInt32(1), 3, 5, 7] { #expect(try client.response(on: stream).received == size) }
            }
            await fixture.stop()
        }

        @Test func aConsumerThatDoesNotReadAtAllIsEnded() async throws {
            let origin = try Self.origin()
            let fixture = try await GatewayFixture.serving(origin) { $0.gateway.idleTimeout = .milliseconds(500) }
            try await blocking {
                let client = try HTTP2Connection(
                    port: fixture.port, settings: [(4, 1 << 30)], receiveBuffer: 8 * 1_024)
                try client.openWindow(0, 1 << 30)
                try client.sendHead(1, HTTP2Connection.request("GET", "/\(Self.size)"))
                #expect(try fixture.usage(count: 1)[0].outcome == .abortedByConsumer)
                #expect(fixture.gateway.statistics.connectionsOpen == 1)
            }
            await fixture.stop(within: .milliseconds(100))
        }
    }
}
