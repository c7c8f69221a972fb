import CloudModel
import CloudPorts
import Foundation
import Glibc
import HypervisorLibvirt
import Logging
import Testing

/// Attempts to connect that do not come to their end.
@Suite(.serialized, .timeLimit(.minutes(1)))
struct AttemptTests {
    /// Takes connections and never says anything.
    private final class SilentServer {
        let port: UInt16
        private let listener: Int32

        init() throws {
            listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = inet_addr("127.0.0.1")
            var size = socklen_t(MemoryLayout<sockaddr_in>.size)
            let listener = listener
            let status = withUnsafeMutablePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                    bind(listener, address, size) == 0 && listen(listener, 64) == 0
                        && getsockname(listener, address, &size) == 0
                }
            }
            port = UInt16(bigEndian: address.sin_port)
            try #require(status)
        }

        deinit { close(listener) }

        /// The next that has asked something; those that ended without a word are passed over. Nil: none yet.
        func next() -> Int32? {
            while true {
                let peer = accept(listener, nil, nil)
                if peer < 0 { return nil }
                var octet: UInt8 = 0
                if recv(peer, &octet, 1, Int32(MSG_PEEK)) > 0 { return peer }
                close(peer)
            }
        }
    }

    private static func open(_ port: UInt16) -> any Hypervisor {
        LibvirtProvider(
            logger: Logger(label: "test"), firstRetry: .milliseconds(1), attemptPatience: .milliseconds(20)
        ).open(
            PhysicalServer(
                id: "silent", hypervisor: "qemu+tcp://127.0.0.1:\(port)/system",
                capacity: ServerResources(cpuMillicores: 2_000, memory: .mebibytes(1_024))))
    }

    /// Whether the kernel asks the other side of this process's connection to the port whether it is there.
    private static func isWatched(_ port: UInt16) -> Bool {
        (0..<1_024 as Range<Int32>).contains { descriptor in
            var peer = sockaddr_in()
            var size = socklen_t(MemoryLayout<sockaddr_in>.size)
            let status = withUnsafeMutablePointer(to: &peer) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(descriptor, $0, &size) }
            }
            guard status == 0, peer.sin_family == sa_family_t(AF_INET), UInt16(bigEndian: peer.sin_port) == port
            else { return false }
            var value: Int32 = 0
            size = socklen_t(MemoryLayout<Int32>.size)
            return getsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &value, &size) == 0 && value == 1
        }
    }

    @Test(
        "where an address leads over TCP",
        arguments: [
            ("qemu+tcp://10.77.0.1/system", "10.77.0.1 16509"), ("qemu+tls://ann@h1:99/system?x=a:b", "h1 99"),
            ("qemu://h1/system", "h1 16514"), ("qemu+tcp://[fd00::7]:16/system", "fd00::7 16"),
            ("qemu+tcp://[fd00::7]/system", "fd00::7 16509"), ("qemu+tcp://h1?socket=/x", "h1 16509"),
            ("qemu:///system", nil), ("qemu+unix:///system?socket=/x", nil), ("test:///default", nil),
            ("test://h1/default", nil), ("qemu+ssh://ann@h1/system", nil), ("qemu+libssh2://h1/system", nil),
            ("h1", nil), ("", nil),
        ] as [(String, String?)])
    func leads(address: String, to place: String?) {
        #expect(HypervisorPeer(address).map { "\($0.host) \($0.port)" } == place)
    }

    @Test func aHypervisorThatNeverGreetsHoldsOneAttempt() async throws {
        let server = try SilentServer()
        // libvirt's event loop, which stays, is begun with the first connection.
        let (first, _) = try await TestDriverTests.connected()
        await first.close()
        let before = ProcessResources.now()
        let hypervisor = Self.open(server.port)
        var peer: Int32?
        for _ in 0..<3 {
            #expect(
                await eventually {
                    peer = server.next()
                    return peer != nil
                })
            // Were it to lose its power now, that would be noticed.
            #expect(await eventually { Self.isWatched(server.port) })
            // Others are not held up, and there is no second attempt beside the one that hangs.
            for _ in 0..<20 {
                let (other, _) = try await TestDriverTests.connected()
                _ = try await other.list()
                await other.close()
            }
            #expect(server.next() == nil)
            // It ends, and is followed by another.
            close(try #require(peer))
        }
        await hypervisor.close()
        // The one that was under way ends with its other side.
        if let last = server.next() { close(last) }
        #expect(await eventually { ProcessResources.now().threads <= before.threads + 1 })
        #expect(await eventually { ProcessResources.now().descriptors <= before.descriptors + 1 })
    }
}
