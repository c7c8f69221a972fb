import Foundation
import Glibc
import Synchronization

/// A client of the web server in a guest: one request after another on a thread of its own.
final class GuestClient: Sendable {
    struct Figures: Sendable {
        var answered = 0
        var failed: [String] = []
        /// Between two answers.
        var longestGap = Duration.zero
        /// The guest's counter went back: it was started anew.
        var steppedBack = false
    }

    private struct State {
        var figures = Figures()
        var isStopped = false
        var hasEnded = false
    }

    private let state = Mutex(State())

    /// Asks for the guest's counter until `stop`.
    init(_ address: String) {
        let thread = Thread { [self] in
            var last = ContinuousClock.now
            var counter = 0
            while !state.withLock({ $0.isStopped }) {
                let answer = Self.get(address, "/n", timeoutSeconds: 10)
                let now = ContinuousClock.now
                let previous = last
                state.withLock { state in
                    if let value = answer.flatMap({ Int($0) }) {
                        state.figures.answered += 1
                        state.figures.longestGap = max(state.figures.longestGap, now - previous)
                        state.figures.steppedBack = state.figures.steppedBack || value < counter
                        counter = value
                        last = now
                    } else {
                        state.figures.failed.append(answer ?? "no answer")
                    }
                }
                usleep(5_000)
            }
            state.withLock { $0.hasEnded = true }
        }
        thread.start()
    }

    var answered: Int { state.withLock { $0.figures.answered } }

    /// The figures so far; from now on they are counted anew.
    func takeFigures() -> Figures {
        state.withLock { state in
            defer { state.figures = Figures() }
            return state.figures
        }
    }

    func stop() async {
        state.withLock { $0.isStopped = true }
        _ = await eventually(within: .seconds(15)) { self.state.withLock { $0.hasEnded } }
    }

    /// The body of the answer; nil where there is none with status 200.
    static func get(_ address: String, _ path: String, timeoutSeconds: Int) -> String? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var limit = timeval(tv_sec: timeoutSeconds, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
        var target = sockaddr_in()
        target.sin_family = sa_family_t(AF_INET)
        target.sin_port = UInt16(80).bigEndian
        target.sin_addr.s_addr = inet_addr(address)
        let connected = withUnsafePointer(to: &target) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        let request = Array("GET \(path) HTTP/1.0\r\n\r\n".utf8)
        guard connected == 0, send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count
        else { return nil }
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while answer.count < 65_536 {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count >= 0 else { return nil }
            if count == 0 { break }
            answer += buffer[..<count]
        }
        let text = String(decoding: answer, as: UTF8.self)
        guard text.hasPrefix("HTTP/1.0 200") || text.hasPrefix("HTTP/1.1 200"),
            let head = text.range(of: "\r\n\r\n")
        else { return nil }
        return text[head.upperBound...].trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
