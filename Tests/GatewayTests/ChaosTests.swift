import CloudModel
import Foundation
import Gateway
import Testing

extension GatewayTests {
    /// Both sides misbehave in every way at once; afterwards nothing is held and everything is booked once.
    @Suite struct Chaos {
        /// Answers well most of the time; otherwise late, in pieces, cut short, malformed, or not at all.
        private static func origin() throws -> TestOrigin {
            let count = Tally()
            return try TestOrigin { connection, _ in
                while let request = try TestRequest(from: connection) {
                    count.add()
                    let body = Array(repeating: UInt8(0x61), count: (count.count * 37) % 40_000)
                    var answer = TestAnswer(body: body, isChunked: count.count % 2 == 0)
                    switch count.count % 17 {
                    case 3: usleep(20_000)
                    case 5: return
                    case 7:
                        try connection.write("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nonly this")
                        return
                    case 9:
                        try connection.write("NOT HTTP\r\n\r\n")
                        return
                    case 11: answer.closes = true
                    case 13:
                        for byte in answer.bytes(for: request).prefix(200) { try connection.write([byte]) }
                        return
                    case 15: try connection.write("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n")
                    default: break
                    }
                    try connection.write(answer.bytes(for: request))
                    if answer.closes { return }
                }
            }
        }

        private static func misbehave(_ fixture: GatewayFixture, seed: UInt64) throws {
            var random = SeededGenerator(seed: seed)
            for _ in 0..<120 {
                let client = try fixture.connect(receiveBuffer: Bool.random(using: &random) ? 4_096 : nil)
                let size = Int.random(in: 0..<60_000, using: &random)
                let post = "PUT / HTTP/1.1\r\nhost: web\r\ncontent-length: \(size)\r\n\r\n"
                let body = Array(repeating: UInt8(0x62), count: size)
                switch Int.random(in: 0..<8, using: &random) {
                case 0:
                    try client.write(String(post.prefix(Int.random(in: 0..<post.count, using: &random))))
                    client.reset()
                case 1:
                    try? client.write(Array(post.utf8) + body.prefix(size / 2))
                    client.close()
                case 2:
                    try? client.write(Array(post.utf8) + body)
                    client.reset()
                case 3:
                    try? client.write(Array(post.utf8) + body)
                    client.finishWriting()
                    _ = try? client.readToEnd()
                case 4:
                    let many = String(repeating: "GET / HTTP/1.1\r\nhost: web\r\n\r\n", count: 20)
                    try? client.write(many)
                    for _ in 0..<Int.random(in: 0..<20, using: &random) { _ = try? client.readResponse() }
                    client.close()
                case 5:
                    try? client.write("GET / HTTP/1.1\r\nhost: web\r\nprefer: wait=5\r\n\r\n")
                    if Bool.random(using: &random) { _ = try? client.readResponse() }
                    client.reset()
                case 6:
                    try? client.write("PUT / HTTP/1.1\r\nhost: web\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcdeX")
                    _ = try? client.readToEnd()
                default:
                    try? client.write(Array(post.utf8) + body)
                    _ = try? client.readResponse()
                    client.close()
                }
            }
        }

        @Test(arguments: [1, 2])
        func nothingIsHeldAfterwards(_ loops: Int) async throws {
            let first = try Self.origin()
            let second = try Self.origin()
            let good = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(
                first, second, loops: loops, timeouts: GatewayTimeouts(upstreamIdle: .seconds(1))
            ) { service in
                service.constraints.concurrentRequestsPerInstance = 3
                service.constraints.queueLength = 4
                service.constraints.queueTimeout = .milliseconds(200)
                service.constraints.maximumWait = .milliseconds(200)
                service.gateway.idleTimeout = .milliseconds(500)
                service.gateway.responseTimeout = .milliseconds(500)
            }
            _ = try await concurrently(8) { try Self.misbehave(fixture, seed: UInt64($0 + 100 * loops)) }
            var quiet = GatewayFixture.service
            quiet.constraints.concurrentRequestsPerInstance = 3
            quiet.constraints.queueLength = 0
            try await settle(fixture, quiet, good.port)
            try await blocking {
                // Every place is free again: three at once are served, and no more are held.
                let clients = try (0..<3).map { _ in try fixture.connect() }
                for client in clients {
                    #expect(try client.exchange("GET / HTTP/1.1\r\nhost: web\r\n\r\n").status == 200)
                }
                let ids = try fixture.usage().map(\.requestID)
                #expect(Set(ids).count == ids.count)
                #expect(UInt64(ids.count) <= fixture.gateway.statistics.total("requests"))
            }
            let load = try await idleSample(fixture)
            #expect(load.requestsInFlight == 0)
            #expect(load.requestsQueued == 0)
            #expect(load.consumersWaiting == 0)
            await fixture.stop()
        }

        /// Applies the snapshot, which has the loops say what they hold, until they hold nothing.
        private func settle(_ fixture: GatewayFixture, _ service: CloudService, _ port: UInt16) async throws {
            let deadline = Date().addingTimeInterval(10)
            while true {
                await fixture.apply(service, [port])
                let now = fixture.gateway.statistics
                if now.connectionsOpen == 0, now.buffersInUse == 0, now.upstreamConnectionsOpen == 0 { return }
                guard Date() < deadline else {
                    throw TestSocket.Failure(
                        description: "held: \(now.connectionsOpen) connections, \(now.buffersInUse) buffers, "
                            + "\(now.upstreamConnectionsOpen) connections to instances")
                }
                try await Task.sleep(for: .milliseconds(10))
            }
        }

        /// The last sample of the service once it has no traffic.
        private func idleSample(_ fixture: GatewayFixture) async throws -> LoadSample {
            let deadline = Date().addingTimeInterval(10)
            for await event in fixture.gateway.events {
                if case .load(let sample) = event, sample.requestsInFlight == 0, sample.requestsQueued == 0 {
                    return sample
                }
                guard Date() < deadline else { break }
            }
            throw TestSocket.Failure(description: "the service was never at rest")
        }
    }
}
