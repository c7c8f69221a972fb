import CloudModel
import Foundation
import Gateway
import Synchronization
import Testing

extension GatewayTests {
    /// Consumers at a saturated service.
    @Suite struct FairShare {
        private static let modest = "x-api-key: \(GatewayFixture.key)\r\n"

        /// An instance that serves one request for each permit, and tells who asked in which order.
        private final class Counter: Sendable {
            let permits = Tally()
            let order = Mutex<[String]>([])

            var served: [String] { order.withLock { $0 } }

            func makeOrigin() throws -> TestOrigin {
                try TestOrigin.http { [self] request in
                    order.withLock { $0.append(request.target) }
                    try waitUntil("there is a permit") { permits.count > 0 }
                    permits.add(-1)
                    return TestAnswer(body: Array("ok".utf8))
                }
            }
        }

        /// Fifty connections of one consumer ask again as soon as they are answered; another consumer has one
        /// connection. Of the only instance's places that come free while the other waits, it gets the first or the
        /// second, and it is never refused: the flood is.
        @Test func aFloodLeavesTheOthersTheirShare() async throws {
            let counter = Counter()
            let origin = try counter.makeOrigin()
            let fixture = try await GatewayFixture.serving(origin) { service in
                service.constraints.maximumInstances = 100
                service.constraints.concurrentRequestsPerInstance = 1
                service.constraints.queueLength = 8
                service.constraints.queueTimeout = .minutes(5)
            }
            let isOver = Tally()
            let refused = Tally()
            let flood = Task {
                try await concurrently(50) { _ in
                    let client = try fixture.connect()
                    while isOver.count == 0 {
                        let status = try client.exchange("GET /flood HTTP/1.1\r\nhost: web\r\n\r\n").status
                        guard [200, 503].contains(status) else { throw TestSocket.Failure(description: "\(status)") }
                        if status == 503 { refused.add() }
                        if status == 503 { usleep(5_000) }
                    }
                }
            }
            let overtakers = try await blocking {
                defer {
                    isOver.add()
                    counter.permits.add(1_000)
                }
                // The place and the queue are the flood's.
                try waitUntil("the flood is refused") { refused.count > 50 }
                let client = try fixture.connect()
                var overtakers: [Int] = []
                for _ in 0..<20 {
                    let before = counter.served.count
                    try client.write("GET /modest HTTP/1.1\r\nhost: web\r\n\(Self.modest)\r\n")
                    try waitUntil("the request waits") { try Self.pending(fixture) }
                    while !counter.served.dropFirst(before).contains("/modest") {
                        let count = counter.served.count
                        counter.permits.add()
                        try waitUntil("the next is served") { counter.served.count > count }
                    }
                    overtakers.append(counter.served.dropFirst(before).prefix { $0 != "/modest" }.count)
                    counter.permits.add()
                    let response = try #require(try client.readResponse())
                    #expect(response.status == 200)
                    try waitUntil("the next is served") { counter.served.last == "/flood" }
                }
                return overtakers
            }
            _ = try await flood.value
            #expect(overtakers.allSatisfy { $0 <= 1 }, "\(overtakers)")
            await fixture.stop()
        }

        /// Whether the loop has read what was sent to it before: it answers something that came later.
        private static func pending(_ fixture: GatewayFixture) throws -> Bool {
            let unknown = "x-api-key: cw_00000000_nobodynobodynobodynobodynobodynobodynobo000000\r\n"
            return try fixture.get("/probe", fields: unknown).status == 401
        }
    }
}
