import CHandover
import CloudModel
import Foundation
import Glibc
import Handover
import Testing

@Suite(.serialized) struct HandoverTests {
    @Test func messagesArriveInOrderWithTheirDescriptors() async throws {
        let (one, other) = try HandoverChannel.pair()
        var ends: [Int32] = [-1, -1]
        #expect(pipe(&ends) == 0)
        try one.send(.prepared)
        try one.send(.sockets(["a", "b"]), descriptors: ends)
        try one.send(.refused(reason: "no \"room\"\nleft"))
        let first = try await other.receive(within: .seconds(5))
        #expect(first.message == .prepared && first.descriptors.isEmpty)
        let second = try await other.receive(within: .seconds(5))
        #expect(second.message == .sockets(["a", "b"]))
        #expect(try await other.receive(within: .seconds(5)).message == .refused(reason: "no \"room\"\nleft"))
        // They are descriptors of the same pipe, and end with an exec.
        let copies = second.descriptors
        #expect(copies.count == 2 && Set(copies).isDisjoint(with: ends))
        #expect(copies.allSatisfy { fcntl($0, F_GETFD) & FD_CLOEXEC != 0 })
        #expect(write(ends[1], "x", 1) == 1)
        var byte: UInt8 = 0
        #expect(read(copies[0], &byte, 1) == 1 && byte == UInt8(ascii: "x"))
        for descriptor in ends + copies { close(descriptor) }
    }

    @Test func asManyDescriptorsAsAMessageMayHave() async throws {
        let (one, other) = try HandoverChannel.pair()
        let most = Int(HANDOVER_DESCRIPTORS)
        let own = (0..<most).map { _ in dup(STDERR_FILENO) }
        try one.send(.sockets(own.map { "\($0)" }), descriptors: own)
        let (message, copies) = try await other.receive(within: .seconds(5))
        #expect(message == .sockets(own.map { "\($0)" }))
        #expect(copies.count == most && Set(copies).count == most)
        #expect(throws: HandoverError.self) { try one.send(.released, descriptors: own + [own[0]]) }
        for descriptor in own + copies { close(descriptor) }
    }

    @Test func silenceAndTheEndOfTheOtherSideAreTold() async throws {
        let (one, other) = try HandoverChannel.pair()
        let silence = await #expect(throws: HandoverError.self) {
            _ = try await one.receive(within: .milliseconds(20))
        }
        #expect(silence?.description.contains("says nothing") == true)
        other.close()
        let end = await #expect(throws: HandoverError.self) { _ = try await one.receive(within: .seconds(5)) }
        #expect(end?.description.contains("has ended") == true)
        #expect(throws: HandoverError.self) { try one.send(.released) }
    }

    @Test func socketsAreTakenOnceAndInTheirOrder() {
        var ends: [Int32] = [-1, -1]
        #expect(pipe(&ends) == 0)
        let sockets = HandedSockets([("a", 1_000), ("b", ends[0]), ("a", 1_001), ("b", ends[1])])
        #expect(sockets.wereGiven && !HandedSockets().wereGiven)
        #expect(sockets.take("a") == 1_000)
        #expect(sockets.take("a") == 1_001)
        #expect(sockets.take("a") == nil && sockets.take("c") == nil)
        sockets.closeRest()
        #expect(ends.allSatisfy { fcntl($0, F_GETFD) == -1 })
        #expect(sockets.take("b") == nil)
    }

    @Test func whoCannotBeStartedOrEndsAtOnceTakesNothingOver() async {
        let missing = await #expect(throws: HandoverError.self) {
            _ = try await Successor.start(program: "/nonexistent/cloudwright", arguments: ["cloudwright"])
        }
        #expect(
            missing?.description.contains("cannot be started: No such file") == true, "\(missing?.description ?? "")")
        let dumb = await #expect(throws: HandoverError.self) {
            _ = try await Successor.start(program: "/bin/true", arguments: ["true"])
        }
        #expect(dumb?.description.contains("has ended") == true)
    }

    /// A program in the shell: the channel is all that it has beside the standard streams, and its signals are usual.
    @Test func theProgramHasTheChannelAndNothingElse() async throws {
        let leaked = open("/dev/null", O_RDONLY)
        signal(SIGUSR2, SIG_IGN)
        defer {
            close(leaked)
            signal(SIGUSR2, SIG_DFL)
        }
        let script = """
            import os, signal, socket
            channel = socket.socket(fileno=3)
            files = sorted(int(name) for name in os.listdir('/proc/self/fd'))
            usual = signal.getsignal(signal.SIGUSR2) == signal.SIG_DFL and os.environ['CLOUDWRIGHT_HANDOVER'] == '3'
            channel.send(b'{"prepared":{}}' if files[:4] == [0, 1, 2, 3] and len(files) == 5 and usual
                else b'{"refused":{"reason":"files %s"}}' % str(files).encode())
            channel.recv(4096)
            channel.send(b'{"serving":{}}')
            """
        let successor = try await Successor.start(program: "python3", arguments: ["python3", "-c", script])
        try successor.release()
        try await successor.serves(within: .seconds(10))
        successor.end()
    }

    @Test func systemdIsToldOfTheMainProcess() throws {
        for address in [NSTemporaryDirectory() + "notify-\(getpid())", "@cloudwright-notify-\(getpid())"] {
            let receiver = try bound(to: address)
            defer { close(receiver) }
            setenv("NOTIFY_SOCKET", address, 1)
            defer { unsetenv("NOTIFY_SOCKET") }
            try ServiceNotification.becomesMainProcess()
            var bytes = [UInt8](repeating: 0, count: 200)
            let count = recv(receiver, &bytes, bytes.count, 0)
            #expect(String(decoding: bytes.prefix(max(0, count)), as: UTF8.self) == "MAINPID=\(getpid())\nREADY=1")
            unlink(address)
        }
        try ServiceNotification.becomesMainProcess()
    }

    private func bound(to address: String) throws -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        var name = sockaddr_un()
        name.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(address.utf8)
        if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
        try #require(bytes.count < MemoryLayout.size(ofValue: name.sun_path))
        withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        let result = withUnsafePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
        }
        try #require(result == 0)
        return descriptor
    }
}
