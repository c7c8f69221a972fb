import CGateway
import CloudModel
import Glibc
import Testing

extension GatewayTests {
    /// What the decoder tells its loop, which is woken only by what comes after the socket has been found empty.
    @Suite struct TLSReceiving {
        /// What comes while decoded octets wait for room wakes the loop before that room is there. If the decoder took
        /// its earlier look at the socket for a new one then, the loop would wait for ever.
        @Test(arguments: [Int32(0x0303), 0x0304])
        func whatComesWhileDecodedOctetsWaitIsNotMissed(version: Int32) async throws {
            let certificates = try TestCertificates()
            var pair: [Int32] = [-1, -1]
            try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0)
            let (ours, theirs) = (pair[0], pair[1])
            defer { for descriptor in [ours, theirs] { close(descriptor) } }
            // A handshake that fails on one side ends on the other as well.
            var limit = timeval(tv_sec: 10, tv_usec: 0)
            setsockopt(theirs, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
            let server = try Server(ours, try certificates.make("web"))
            async let shaken = blocking { try TestTLS(descriptor: theirs, .init(versions: version...version)) }
            try await blocking { try server.shakeHands() }
            let client = try await shaken

            // Two records at once, and room for one.
            #expect(client.write("first", 5) == 5)
            #expect(client.write("second", 6) == 6)
            #expect(server.receive(capacity: 5) == ("first", true))
            #expect(client.write("third", 5) == 5)
            #expect(server.receive(capacity: 100) == ("secondthird", false))
        }

        /// The gateway's side of a connection, without a loop.
        private final class Server: @unchecked Sendable {
            private let descriptor: Int32
            private let keys: OpaquePointer
            private let context: OpaquePointer
            private let connection: OpaquePointer

            init(_ descriptor: Int32, _ files: CertificateFiles) throws {
                try #require(fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0)
                self.descriptor = descriptor
                keys = try #require(cgateway_ticket_keys_create(3_600))
                context = try #require(cgateway_tls_server(0x0303, keys))
                var reason = [CChar](repeating: 0, count: Int(CGATEWAY_TLS_REASON))
                try #require(cgateway_tls_add_certificate(context, files.certificateFile, files.keyFile, &reason))
                connection = try #require(cgateway_tls_open(context, descriptor))
            }

            deinit {
                cgateway_tls_free(connection)
                cgateway_tls_context_free(context)
                cgateway_ticket_keys_free(keys)
            }

            func shakeHands() throws {
                var outcome = cgateway_tls_handshake(connection)
                while outcome == -EAGAIN {
                    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                    try #require(poll(&entry, 1, 10_000) == 1)
                    outcome = cgateway_tls_handshake(connection)
                }
                try #require(outcome == 0)
            }

            func receive(capacity: Int) -> (text: String, mayHaveMore: Bool) {
                var octets = [UInt8](repeating: 0, count: capacity)
                var mayHaveMore = false
                let count = cgateway_tls_receive(connection, &octets, capacity, &mayHaveMore)
                return (String(decoding: octets.prefix(max(0, count)), as: UTF8.self), mayHaveMore)
            }
        }
    }
}
