import CloudModel
import Credentials
import Foundation
import Gateway
import Synchronization
import Testing

extension GatewayTests {
    /// Services of TCP: connections instead of requests.
    @Suite struct TCPServices {
        private static func service(_ sources: [TCPSource] = [], change: (inout CloudService) -> Void = { _ in })
            -> CloudService
        {
            var service = CloudService(
                id: "database", routes: [], access: sources.isEmpty ? .anonymous : .required,
                instances: .endpoints([]),
                tcp: TCPSettings(
                    listener: GatewayListener(Endpoint(address: "127.0.0.1", port: 0)), sources: sources))
            change(&service)
            return service
        }

        /// Greets with its name, echoes, and says goodbye when the other side has finished.
        private static func origin(_ name: String = "a") throws -> TestOrigin {
            try TestOrigin { connection, _ in
                try connection.write(name)
                while let byte = try connection.byte() { try connection.write([byte]) }
                try connection.write("bye")
            }
        }

        private static func start(
            _ service: CloudService, _ ports: [UInt16], loops: Int = 1
        ) async throws -> (GatewayFixture, UInt16) {
            let fixture = try GatewayFixture(loops: loops)
            await fixture.apply(service, ports)
            return (fixture, try #require(fixture.gateway.servicePorts["database"]))
        }

        @Test func bytesPassBothWaysHalfClosedAndMetered() async throws {
            let origin = try Self.origin()
            let (fixture, port) = try await Self.start(Self.service(), [origin.port], loops: 2)
            try await blocking {
                let client = try TestSocket(port: port)
                #expect(try client.read(1) == Array("a".utf8))
                let big = (0..<300_000).map { UInt8(truncatingIfNeeded: $0) }
                Thread.detachNewThread { try? client.write(big) }
                #expect(try client.read(big.count) == big)
                client.finishWriting()
                #expect(String(decoding: try client.readToEnd(), as: UTF8.self) == "bye")
                let record = try #require(try fixture.usage(count: 1).first)
                #expect(record.outcome == .tunnel)
                #expect(record.consumer == .anonymous)
                #expect(record.instance == InstanceID("web-\(origin.port)"))
                #expect(record.bytesIn == UInt64(big.count))
                #expect(record.bytesOut == UInt64(big.count + 4))
                #expect(record.completedAt >= record.receivedAt)
            }
            await fixture.stop()
        }

        /// A shell's pipe has said all before the instance is found.
        @Test func whoHasSaidAllBeforeTheInstanceIsFoundGetsItsAnswer() async throws {
            let origin = try Self.origin()
            let (fixture, port) = try await Self.start(Self.service(), [origin.port])
            try await blocking {
                for _ in 0..<20 {
                    let client = try TestSocket(port: port)
                    try client.write("ping")
                    client.finishWriting()
                    #expect(String(decoding: try client.readToEnd(), as: UTF8.self) == "apingbye")
                }
            }
            await fixture.stop()
        }

        @Test func aConsumerIsKnownByItsAddress() async throws {
            let origin = try Self.origin()
            let sources = [
                TCPSource(network: "127.0.0.0/8", consumer: "bob"), TCPSource(network: "127.0.0.1", consumer: "alice"),
            ]
            let (fixture, port) = try await Self.start(Self.service(sources), [origin.port])
            try await blocking {
                let client = try TestSocket(port: port)
                _ = try client.read(1)
                client.close()
                #expect(try fixture.usage(count: 1).first?.consumer == "alice")
            }
            await fixture.stop()
        }

        @Test func strangersAndThoseWithoutTheRightAreRefused() async throws {
            let origin = try Self.origin()
            let stranger = [TCPSource(network: "10.0.0.0/8", consumer: "alice")]
            let (fixture, port) = try await Self.start(Self.service(stranger), [origin.port])
            try await blocking {
                #expect(throws: TestSocket.Failure.self) { _ = try TestSocket(port: port).read(1) }
                let records = try fixture.usage()
                #expect(records.isEmpty)
            }
            // Bob is entitled to no service.
            await fixture.apply(
                Self.service([TCPSource(network: "127.0.0.0/8", consumer: "bob")]), [origin.port])
            try await blocking {
                #expect(throws: TestSocket.Failure.self) { _ = try TestSocket(port: port).read(1) }
                let record = try #require(try fixture.usage(count: 1).first)
                #expect(record.consumer == "bob")
                #expect(record.outcome == .rejected)
                #expect(origin.accepted == 0)
            }
            await fixture.stop()
        }

        @Test func overTheLimitAConnectionIsRefusedAndToldOf() async throws {
            let origin = try Self.origin()
            let service = Self.service([TCPSource(network: "127.0.0.1", consumer: "alice")]) {
                $0.constraints.concurrentRequestsPerConsumer = 2
            }
            let (fixture, port) = try await Self.start(service, [origin.port])
            let told = Mutex<[LimitReached]>([])
            let reading = Task {
                for await event in fixture.gateway.events {
                    if case .limitReached(let limit) = event { told.withLock { $0.append(limit) } }
                }
            }
            try await blocking {
                let held = try (0..<2).map { _ in try TestSocket(port: port) }
                for client in held { #expect(try client.read(1) == Array("a".utf8)) }
                #expect(throws: TestSocket.Failure.self) { _ = try TestSocket(port: port).read(1) }
                try waitUntil("the control plane is told") { !told.withLock { $0 }.isEmpty }
                let limit = try #require(told.withLock { $0.first })
                #expect(limit.consumer == "alice")
                #expect(limit.constraint == .concurrentRequestsPerConsumer)
                #expect(limit.limit == 2)
                held[0].close()
                try waitUntil("the place is free again") {
                    (try? TestSocket(port: port).read(1)) == Array("a".utf8)
                }
            }
            await fixture.stop()
            reading.cancel()
        }

        @Test func anInstanceThatDoesNotAnswerIsReplacedBeforeAByteHasPassed() async throws {
            let origin = try Self.origin("b")
            let gone = try Self.origin("a")
            let port = gone.port
            gone.kill()
            let (fixture, entry) = try await Self.start(Self.service(), [port, origin.port])
            try await blocking {
                for _ in 0..<20 {
                    let greeting = try TestSocket(port: entry).read(1)
                    #expect(greeting == Array("b".utf8))
                }
            }
            await fixture.stop()
        }

        @Test func anInstanceThatDiesEndsItsConnectionsByAResetAndOthersTakeTheNext() async throws {
            let dying = try TestOrigin { connection, _ in
                try connection.write("a")
                _ = try connection.byte()
                connection.reset()
            }
            let (fixture, port) = try await Self.start(Self.service(), [dying.port])
            try await blocking {
                let client = try TestSocket(port: port)
                #expect(try client.read(1) == Array("a".utf8))
                try client.write("x")
                #expect(throws: TestSocket.Failure.self) { _ = try client.readToEnd() }
                let record = try #require(try fixture.usage(count: 1).first)
                #expect(record.bytesIn == 1)
                #expect(record.bytesOut == 1)
            }
            let other = try Self.origin("b")
            await fixture.apply(Self.service(), [other.port])
            let greeting = try await blocking { try TestSocket(port: port).read(1) }
            #expect(greeting == Array("b".utf8))
            await fixture.stop()
        }

        /// What the consumer does not take stays at the instance: the gateway holds a few buffers.
        @Test func aSlowReaderHoldsTheInstanceBack() async throws {
            let sent = Tally()
            let size = 64 << 20
            let origin = try TestOrigin { connection, _ in
                let chunk = [UInt8](repeating: 7, count: 65_536)
                for _ in 0..<(size / chunk.count) {
                    try connection.write(chunk)
                    sent.add(chunk.count)
                }
            }
            let (fixture, port) = try await Self.start(Self.service(), [origin.port])
            try await blocking {
                let client = try TestSocket(port: port, receiveBuffer: 16_384)
                _ = try client.read(1)
                var last = -1
                try waitUntil("the instance is held back") {
                    defer { last = sent.count }
                    usleep(200_000)
                    return sent.count == last
                }
                #expect(sent.count < size / 2)
                try client.skip(size - 1)
                #expect(try client.isAtEnd())
                client.close()
                #expect(try fixture.usage(count: 1).first?.bytesOut == UInt64(size))
            }
            await fixture.stop()
        }

        /// Both ways at once, more than the pipes hold, and every byte where it belongs.
        @Test(arguments: [1, 40])
        func muchIsNotCopied(_ connections: Int) async throws {
            let origin = try TestOrigin { connection, _ in
                while true {
                    let bytes = try connection.readSome(65_536)
                    if bytes.isEmpty { return }
                    try connection.write(bytes)
                }
            }
            let (fixture, port) = try await Self.start(Self.service(), [origin.port])
            let size = connections == 1 ? 16_000_000 : 1_000_000
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<connections {
                    group.addTask {
                        try await blocking {
                            let client = try TestSocket(port: port)
                            let sent = (0..<size).map { UInt8(truncatingIfNeeded: $0 / 251 + $0 + number) }
                            Thread.detachNewThread {
                                try? client.write(sent)
                                client.finishWriting()
                            }
                            #expect(try client.read(size) == sent)
                            #expect(try client.isAtEnd())
                            client.close()
                        }
                    }
                }
                try await group.waitForAll()
            }
            try await blocking {
                let records = try fixture.usage(count: connections)
                #expect(records.count == connections)
                #expect(records.allSatisfy { $0.bytesIn == UInt64(size) && $0.bytesOut == UInt64(size) })
            }
            let spliced = fixture.gateway.statistics.total("spliced_bytes")
            // Of one, a good part is not copied, more the less its ends wait for a processor; of several, less
            // reaches the size from which on pipes are used.
            let least = connections == 1 ? UInt64(size / 4) : 1
            #expect(spliced >= least, "\(spliced) of \(2 * size * connections)")
            await fixture.stop()
        }

        /// A consumer that goes away with bytes in its pipe: the next one gets none of them.
        @Test func whatWasOnItsWayToOneConsumerReachesNoOther() async throws {
            let origin = try TestOrigin { connection, origin in
                let mark = UInt8(truncatingIfNeeded: origin.accepted)
                let chunk = [UInt8](repeating: mark, count: 65_536)
                for _ in 0..<512 { try connection.write(chunk) }
            }
            let (fixture, port) = try await Self.start(Self.service(), [origin.port])
            try await blocking {
                for round in 1...20 {
                    let client = try TestSocket(port: port, receiveBuffer: 16_384)
                    let bytes = try client.read(2_000_000)
                    #expect(bytes.allSatisfy { $0 == UInt8(round) })
                    client.close()
                    try waitUntil("the instance is free") { origin.openConnections == 0 }
                }
            }
            #expect(fixture.gateway.statistics.total("spliced_bytes") > 0)
            await fixture.stop()
        }

        @Test func aLongConnectionIsBookedInStretches() async throws {
            let origin = try Self.origin()
            let service = Self.service { $0.tcp?.recordInterval = .milliseconds(50) }
            let (fixture, port) = try await Self.start(service, [origin.port])
            try await blocking {
                let client = try TestSocket(port: port)
                _ = try client.read(1)
                try client.write("12345")
                _ = try client.read(5)
                try waitUntil("there are several records") { try fixture.usage().count >= 3 }
                client.finishWriting()
                #expect(String(decoding: try client.readToEnd(), as: UTF8.self) == "bye")
                client.close()
                try waitUntil("all is booked") { try fixture.usage().reduce(0) { $0 + $1.bytesOut } == 9 }
                let records = try fixture.usage()
                #expect(records.reduce(0) { $0 + $1.bytesIn } == 5)
                #expect(records.first?.outcome == .tunnel)
                #expect(records.dropFirst().allSatisfy { $0.outcome == .tunnelContinued })
                #expect(fixture.gateway.trafficFigures.allSatisfy { $0.requests == 1 })
                #expect(Set(records.map(\.requestID)).count == records.count)
                for (one, next) in zip(records, records.dropFirst()) { #expect(one.completedAt <= next.receivedAt) }
            }
            await fixture.stop()
        }

        @Test func whoMayNoLongerIsCutOffWithinAStretch() async throws {
            let origin = try Self.origin()
            func service(_ consumer: ConsumerID) -> CloudService {
                Self.service([TCPSource(network: "127.0.0.1", consumer: consumer)]) {
                    $0.tcp?.recordInterval = .milliseconds(50)
                }
            }
            let (fixture, port) = try await Self.start(service("alice"), [origin.port])
            let client = try await blocking {
                let client = try TestSocket(port: port)
                _ = try client.read(1)
                try waitUntil("it goes on beyond a stretch") { try fixture.usage().count >= 2 }
                try client.write("x")
                _ = try client.read(1)
                return client
            }
            // Bob is entitled to nothing.
            await fixture.apply(service("bob"), [origin.port])
            try await blocking {
                let failure = #expect(throws: TestSocket.Failure.self) { _ = try client.readToEnd() }
                #expect(failure?.description == "cannot read: error \(ECONNRESET)")
                try waitUntil("the instance is free") { origin.openConnections == 0 }
                let records = try fixture.usage()
                #expect(records.allSatisfy { $0.consumer == "alice" })
                #expect(records.reduce(0) { $0 + $1.bytesOut } == 2)
            }
            await fixture.stop()
        }

        @Test func thePortComesAndGoesWithTheService() async throws {
            let origin = try Self.origin()
            let (fixture, port) = try await Self.start(Self.service(), [origin.port], loops: 2)
            let held = try await blocking {
                let client = try TestSocket(port: port)
                _ = try client.read(1)
                return client
            }
            await fixture.apply([])
            try await blocking {
                #expect(throws: TestSocket.Failure.self) { _ = try TestSocket(port: port) }
                try held.write("still")
                #expect(try held.read(5) == Array("still".utf8))
            }
            #expect(fixture.gateway.servicePorts.isEmpty)
            await fixture.stop(within: .zero)
        }

        @Test func instancesAreToldWhoTheConsumerIs() async throws {
            let heads = Mutex<[String]>([])
            let origin = try TestOrigin { connection, _ in
                let line = try connection.readLine()
                heads.withLock { $0.append(line) }
                try connection.write("ok")
            }
            let service = Self.service {
                $0.gateway.proxyProtocol = .v1
                $0.tcp?.listener.proxyProtocolFrom = ["127.0.0.1"]
            }
            let (fixture, port) = try await Self.start(service, [origin.port])
            try await blocking {
                let client = try TestSocket(port: port)
                try client.write("PROXY TCP4 192.0.2.7 192.0.2.1 4000 5432\r\n")
                #expect(try client.read(2) == Array("ok".utf8))
                #expect(heads.withLock { $0.first }?.hasPrefix("PROXY TCP4 192.0.2.7 127.0.0.1 4000 ") == true)
            }
            await fixture.stop()
        }

        /// The gateway holds the certificate; the instances get the bytes in clear.
        @Test func overTLSACertificateSaysWhoseAConnectionIs() async throws {
            let certificates = try TestCertificates()
            try certificates.makeAuthority("consumers")
            let files = try certificates.make("web")
            for name in ["carol", "erin"] { try certificates.make(name, for: "DNS:\(name)", by: "consumers") }
            let tls = ListenerTLS(
                certificates: [files],
                clientCertificates: ClientCertificates(authorityFile: certificates.path("consumers.pem")))
            let fingerprint = try certificates.fingerprint("carol")
            let origin = try Self.origin()
            let service = Self.service {
                $0.access = .required
                $0.tcp?.listener.tls = tls
            }
            let fixture = try GatewayFixture()
            fixture.moreConsumers.withLock {
                $0 = [
                    CloudConsumer(
                        id: "carol",
                        credentials: [
                            APICredential(id: "c", kind: .certificate, prefix: "test", digest: fingerprint)
                        ])
                ]
            }
            await fixture.apply(service, [origin.port])
            let port = try #require(fixture.gateway.servicePorts["database"])
            try await blocking {
                let (client, _) = try TestSocket.secure(port: port, .init(certificate: certificates.files("carol")))
                try client.write("ping")
                client.finishWriting()
                #expect(String(decoding: try client.readToEnd(), as: UTF8.self) == "apingbye")
                client.close()
                let record = try #require(try fixture.usage(count: 1).first)
                #expect(record.consumer == "carol")
                #expect(record.bytesIn == 4)
                #expect(record.bytesOut == 8)
                // Of the right authority, but nobody's.
                #expect(throws: TestSocket.Failure.self) {
                    let (stranger, _) = try TestSocket.secure(
                        port: port, .init(certificate: certificates.files("erin")))
                    _ = try stranger.read(1)
                }
                #expect(origin.accepted == 1)
            }
            await fixture.stop()
        }
    }
}
