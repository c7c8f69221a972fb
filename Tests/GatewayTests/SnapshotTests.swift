import CloudModel
import Foundation
import Gateway
import Testing

extension GatewayTests {
    @Suite struct Snapshots {
        @Test func backendsComeAndGoUnderLoad() async throws {
            let origins = try (0..<4).map { _ in try TestOrigin.echo() }
            let fixture = try await GatewayFixture.serving(origins[0], loops: 2)
            let stop = Tally()
            let swaps = Task {
                for round in 0..<60 {
                    let ports = (0..<(1 + round % 3)).map { origins[(round + $0) % 4].port }
                    await fixture.apply(
                        GatewayFixture.service, ports, draining: round % 2 == 0 ? [] : [origins[0].port])
                    try await Task.sleep(for: .milliseconds(5))
                }
                stop.add()
            }
            let counts = try await concurrently(8) { _ in
                var count = 0
                let client = try fixture.connect()
                while stop.count == 0 {
                    let response = try client.exchange("GET / HTTP/1.1\r\nhost: web\r\n\r\n")
                    guard response.status == 200 else { throw TestSocket.Failure(description: response.head) }
                    count += 1
                }
                return count
            }
            try await swaps.value
            let total = counts.reduce(0, +)
            #expect(try await blocking { try fixture.usage(count: total).count } == total)
            await fixture.stop()
        }

        @Test func drainingBackendsGetNothingNew() async throws {
            let origins = [try TestOrigin.echo(), try TestOrigin.echo()]
            let fixture = try await GatewayFixture.serving(origins[0], origins[1])
            await fixture.apply(GatewayFixture.service, origins.map(\.port), draining: [origins[0].port])
            try await blocking {
                let client = try fixture.connect()
                for _ in 0..<20 { #expect(try client.exchange("GET / HTTP/1.1\r\nhost: web\r\n\r\n").status == 200) }
                #expect(origins[0].requests.isEmpty)
                #expect(origins[1].requests.count == 20)
            }
            await fixture.stop()
        }

        @Test func requestsInFlightEndWhereTheyAre() async throws {
            let gate = Tally()
            let origin = try TestOrigin.held(gate, body: "late")
            let other = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin)
            let answer = Task {
                try await blocking {
                    try fixture.connect().exchange(
                        "POST / HTTP/1.1\r\nhost: web\r\ncontent-length: 1\r\n\r\nx"
                    ).text
                }
            }
            try await blocking { try waitUntil("the instance has it") { origin.requests.count == 1 } }
            await fixture.apply(GatewayFixture.service, [other.port])
            gate.add()
            #expect(try await answer.value == "late")
            await fixture.stop()
        }

        @Test func olderSnapshotsAreIgnoredAndServicesGo() async throws {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin)
            await fixture.gateway.apply(DataPlaneSnapshot(generation: 0, services: [], consumers: []))
            #expect(try await blocking { try fixture.get().status } == 200)
            await fixture.apply([])
            #expect(try await blocking { try fixture.get().status } == 404)
            await fixture.apply(GatewayFixture.service, [origin.port])
            #expect(try await blocking { try fixture.get().status } == 200)
            await fixture.stop()
        }

        @Test func drainingEndsKeptConnectionsAndFinishesRequests() async throws {
            let gate = Tally()
            let origin = try TestOrigin.http { request in
                if request.target == "/slow" { try waitUntil("it may answer") { gate.count > 0 } }
                return TestAnswer(body: Array("ok".utf8))
            }
            let fixture = try await GatewayFixture.serving(origin)
            let idle = try fixture.connect()
            _ = try await blocking { try idle.exchange("GET / HTTP/1.1\r\nhost: web\r\n\r\n") }
            let slow = Task {
                try await blocking { try fixture.connect().exchange("GET /slow HTTP/1.1\r\nhost: web\r\n\r\n") }
            }
            try await blocking { try waitUntil("it is in flight") { origin.requests.count == 2 } }
            let stopped = Task { await fixture.stop() }
            #expect(try await blocking { try idle.isAtEnd() })
            gate.add()
            let response = try await slow.value
            #expect(response.text == "ok")
            #expect(response["connection"] == "close")
            await stopped.value
            #expect(throws: TestSocket.Failure.self) {
                try fixture.connect().exchange("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            }
        }
    }
}
