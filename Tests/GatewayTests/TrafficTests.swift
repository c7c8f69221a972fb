import CloudModel
import Foundation
import Gateway
import Testing

extension GatewayTests {
    @Suite struct Traffic {
        private func row(_ fixture: GatewayFixture, of instance: InstanceID? = nil) throws -> TrafficFigures {
            try #require(
                fixture.gateway.trafficFigures.first { $0.service == "web" && $0.instance == instance },
                "no figures of \(instance?.rawValue ?? "the service")")
        }

        /// What the instances answered adds up to the service's, over all loops, and is what the clients saw.
        @Test func instancesAddUpToTheService() async throws {
            let quick = try TestOrigin.http { _ in TestAnswer(body: Array(repeating: 1, count: 500)) }
            let slow = try TestOrigin.http { _ in
                usleep(30_000)
                return TestAnswer(status: "500 Internal Server Error")
            }
            let fixture = try await GatewayFixture.serving(quick, slow, loops: 2) { service in
                service.loadBalancing.algorithm = .roundRobin
            }
            let received = try await concurrently(4) { _ in
                try (0..<10).reduce(into: (errors: 0, bytes: 0)) { sum, _ in
                    let response = try fixture.get()
                    if response.status == 500 { sum.errors += 1 }
                    sum.bytes += response.head.utf8.count + response.body.count
                }
            }
            let errors = UInt64(received.reduce(0) { $0 + $1.errors })
            let service = try row(fixture)
            let quickRow = try row(fixture, of: InstanceID("web-\(quick.port)"))
            let slowRow = try row(fixture, of: InstanceID("web-\(slow.port)"))
            #expect(service.requests == 40)
            #expect(quickRow.requests + slowRow.requests == 40)
            #expect(errors > 0)
            #expect(service.errors == errors)
            #expect(slowRow.errors == errors)
            #expect(quickRow.errors == 0)
            #expect(service.bytesOut == UInt64(received.reduce(0) { $0 + $1.bytes }))
            #expect(quickRow.bytesOut + slowRow.bytesOut == service.bytesOut)
            #expect(quickRow.bytesIn + slowRow.bytesIn == service.bytesIn)
            var merged = quickRow.latency
            merged.merge(slowRow.latency)
            #expect(merged == service.latency)
            #expect(service.latency.count == 40)
            #expect(try #require(slowRow.latency.quantileMicroseconds(0)) >= 30_000)
            await fixture.stop()
        }

        @Test func failuresAreTheInstances() async throws {
            let broken = try TestOrigin.http { _ in TestAnswer() }
            broken.kill()
            let fixture = try await GatewayFixture.serving(broken) { $0.gateway.maximumRetries = 0 }
            let response = try await blocking { try fixture.get() }
            #expect(response.status == 502)
            let service = try row(fixture)
            let instance = try row(fixture, of: InstanceID("web-\(broken.port)"))
            #expect(service.errors == 1 && service.failures == 1)
            #expect(instance.failures == 1)
            // Nothing of the request ended there.
            #expect(instance.requests == 0)
            await fixture.stop()
        }

        @Test func refusalsAreNoErrorsAndHaveNoLatency() async throws {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin) { service in
                service.constraints.requestsPerSecondPerConsumer = 1
                service.constraints.burstPerConsumer = 1
                service.constraints.maximumWait = .zero
            }
            let statuses = try await blocking { try (0..<5).map { _ in try fixture.get().status } }
            let refused = UInt64(statuses.count { $0 == 429 })
            #expect(refused > 0)
            let service = try row(fixture)
            #expect(service.refusals == refused)
            #expect(service.errors == 0)
            #expect(service.latency.count == 5 - refused)
            await fixture.stop()
        }

        /// An instance that has left the balance is forgotten; what it did stays in the service's totals.
        @Test func instancesThatAreGoneAreForgotten() async throws {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin)
            _ = try await blocking { try fixture.get() }
            #expect(fixture.gateway.trafficFigures.count == 2)
            await fixture.apply(GatewayFixture.service, [])
            #expect(fixture.gateway.trafficFigures.map(\.instance) == [nil])
            #expect(try row(fixture).requests == 1)
            await fixture.stop()
        }
    }
}
