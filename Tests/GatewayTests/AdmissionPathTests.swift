import CloudModel
import Foundation
import Gateway
import Synchronization
import Testing

extension GatewayTests {
    /// The scaling listener on the path of a request.
    @Suite struct Admission {
        private static let request = "GET / HTTP/1.1\r\nhost: web\r\n\r\n"

        @Test func theRequestBeyondTheLimitIsToldWhy() async throws {
            let gate = Tally()
            let origin = try TestOrigin.held(gate)
            let fixture = try await GatewayFixture.serving(origin) { service in
                service.constraints.concurrentRequestsPerInstance = 1
                service.constraints.queueLength = 0
            }
            try await blocking {
                let first = try fixture.connect()
                try first.write(Self.request)
                try waitUntil("the instance has the first") { origin.requests.count == 1 }
                let second = try fixture.connect()
                let refusal = try second.exchange(Self.request)
                #expect(refusal.status == 429)
                #expect(refusal["retry-after"].flatMap { Int($0) } ?? 0 >= 1)
                #expect(refusal.json["constraint"] as? String == "maximum-instances")
                #expect(refusal.json["limit"] as? Int == 1)
                #expect(refusal.json["service"] as? String == "web")
                #expect(refusal["connection"] == nil)
                gate.add()
                #expect(try first.readResponse()?.text == "ok")
                // The place is free before the answer is out, and the refused connection can be used on.
                #expect(try second.exchange(Self.request).status == 200)
                let records = try fixture.usage(count: 3)
                #expect(
                    records.map(\.outcome).sorted { $0.rawValue < $1.rawValue } == [.completed, .completed, .rejected])
            }
            let refused = try await Self.event(fixture) { if case .limitReached(let limit) = $0 { limit } else { nil } }
            #expect(refused.service == "web")
            #expect(refused.constraint == .maximumInstances)
            #expect(!refused.waiting)
            let served = try await Self.event(fixture) {
                if case .servedAfterRefusal(let service, _, _) = $0 { service } else { nil }
            }
            #expect(served == "web")
            await fixture.stop()
        }

        /// The first event of the wanted kind; gives up after ten seconds.
        private static func event<Value: Sendable>(
            _ fixture: GatewayFixture, _ pick: @escaping @Sendable (DataPlaneEvent) -> Value?
        ) async throws -> Value {
            try await withThrowingTaskGroup(of: Value.self) { group in
                group.addTask {
                    for await event in fixture.gateway.events { if let value = pick(event) { return value } }
                    throw TestSocket.Failure(description: "the events have ended")
                }
                group.addTask {
                    try await Task.sleep(for: .seconds(10))
                    throw TestSocket.Failure(description: "no such event in ten seconds")
                }
                defer { group.cancelAll() }
                return try await group.next()!
            }
        }

        @Test func whoAsksToWaitIsServedWhenAPlaceFrees() async throws {
            let gate = Tally()
            let origin = try TestOrigin.held(gate)
            let fixture = try await GatewayFixture.serving(origin, loops: 2) { service in
                service.constraints.concurrentRequestsPerInstance = 1
                service.constraints.queueLength = 0
            }
            try await blocking {
                let first = try fixture.connect()
                try first.write(Self.request)
                try waitUntil("the instance has the first") { origin.requests.count == 1 }
                let second = try fixture.connect()
                try second.write("GET / HTTP/1.1\r\nhost: web\r\nprefer: respond-async, wait=20\r\n\r\n")
                usleep(50_000)
                #expect(origin.requests.count == 1)
                gate.add()
                #expect(try first.readResponse()?["preference-applied"] == nil)
                let response = try #require(try second.readResponse())
                #expect(response.status == 200)
                #expect(response["preference-applied"] == "wait")
                #expect(try fixture.usage(count: 2).allSatisfy { $0.outcome == .completed })
            }
            await fixture.stop()
        }

        @Test func aWaitEnds() async throws {
            let gate = Tally()
            let origin = try TestOrigin.held(gate)
            let fixture = try await GatewayFixture.serving(origin) { service in
                service.constraints.concurrentRequestsPerInstance = 1
                service.constraints.queueLength = 0
                service.constraints.maximumWait = .milliseconds(200)
            }
            try await blocking {
                let first = try fixture.connect()
                try first.write(Self.request)
                try waitUntil("the instance has the first") { origin.requests.count == 1 }
                let second = try fixture.connect()
                #expect(try second.exchange("GET / HTTP/1.1\r\nhost: web\r\nprefer: wait=20\r\n\r\n").status == 429)
                let third = try fixture.connect()
                try third.write("GET / HTTP/1.1\r\nhost: web\r\nprefer: wait=20\r\n\r\n")
                usleep(50_000)
                third.close()
                let records = try fixture.usage(count: 2)
                #expect(records.map(\.outcome) == [.rejected, .abortedByConsumer])
                gate.add()
                #expect(try first.readResponse()?.status == 200)
                #expect(try first.exchange(Self.request).status == 200)
            }
            await fixture.stop()
        }

        @Test func requestsWaitForAnInstanceThatIsStarting() async throws {
            let origin = try TestOrigin.echo()
            let fixture = try GatewayFixture(loops: 2)
            await fixture.apply(GatewayFixture.service, [])
            let answers = Task {
                try await concurrently(10) { index in
                    let client = try fixture.connect()
                    let request = "POST / HTTP/1.1\r\nhost: web\r\ncontent-length: 2\r\n\r\n1\(index)"
                    return try client.exchange(request).text
                }
            }
            let sample = try await Self.event(fixture) {
                if case .load(let sample) = $0, sample.requestsQueued == 10 { sample } else { nil }
            }
            #expect(sample.service == "web")
            await fixture.apply(GatewayFixture.service, [origin.port])
            #expect(try await answers.value == (0..<10).map { "1\($0)" })
            await fixture.stop()
        }

        /// Else nothing that is idle could ever be scaled in.
        @Test func aServiceAtRestIsTold() async throws {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin)
            let times = Mutex<[Timestamp]>([])
            let told = try await Self.event(fixture) { event -> [Timestamp]? in
                guard case .load(let sample) = event, sample.requestsInFlight == 0 else { return nil }
                return times.withLock { times in
                    times.append(sample.at)
                    return times.count == 3 ? times : nil
                }
            }
            #expect(zip(told, told.dropFirst()).allSatisfy { $0 < $1 })
            await fixture.stop()
        }

        @Test func theQueueHasATime() async throws {
            let fixture = try GatewayFixture()
            var service = GatewayFixture.service
            service.constraints.queueTimeout = .milliseconds(100)
            await fixture.apply(service, [])
            try await blocking {
                let response = try fixture.get()
                #expect(response.status == 503)
                #expect(response.json["type"] as? String == "urn:cloudwright:problem:queue-timeout")
                #expect(try fixture.usage(count: 1).first?.outcome == .rejected)
            }
            await fixture.stop()
        }

        /// Never more than the limit at once, and never fewer served than places, whatever loop a request came to.
        @Test func theLimitIsExactAcrossLoops() async throws {
            let inside = Tally()
            let tooMany = Tally()
            let origin = try TestOrigin.http { _ in
                inside.add()
                if inside.count > 3 { tooMany.add() }
                usleep(300)
                inside.add(-1)
                return TestAnswer(body: Array("ok".utf8))
            }
            let fixture = try await GatewayFixture.serving(origin, loops: 2) { service in
                service.constraints.concurrentRequestsPerInstance = 3
                service.constraints.queueLength = 0
            }
            let served = try await concurrently(12) { _ in
                let client = try fixture.connect()
                var served = 0
                for _ in 0..<100 {
                    let status = try client.exchange(Self.request).status
                    guard [200, 429].contains(status) else { throw TestSocket.Failure(description: "\(status)") }
                    if status == 200 { served += 1 }
                }
                return served
            }
            #expect(tooMany.count == 0)
            #expect(served.reduce(0, +) > 100)
            #expect(try await blocking { try fixture.usage(count: 1_200).count } == 1_200)
            await fixture.stop()
        }
    }
}
