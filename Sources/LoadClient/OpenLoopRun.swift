import CLoadClient
import Glibc

/// One run of an `OpenLoopLoad`: its connections, its clock, and what it has counted.
struct OpenLoopRun {
    private enum Phase {
        /// No connection; a request makes one.
        case closed
        case connecting, idle, sending, receiving
    }

    private struct Lane {
        var phase = Phase.closed
        var socket: Socket?
        var parser = ResponseParser(answersHead: false)
        var bytes: [UInt8] = []
        var sent = 0
        /// The number of the request that it carries; below zero: none.
        var request = -1
        var dueAt: Int64 = 0
        var deadline: Int64 = 0
    }

    private let load: OpenLoopLoad
    private let journal: LoadJournal?
    private var lanes: [Lane]
    private var polled: [pollfd]
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)
    private var counts = LoadReport()
    private var seenIDs: Set<ResponseID> = []
    private var begin: Int64 = 0
    private var lastSuccess: Int64 = 0
    private var next = 0
    private var busy = 0
    private var nextLane = 0

    init(_ load: OpenLoopLoad, _ journal: LoadJournal?) {
        self.load = load
        self.journal = journal
        lanes = [Lane](repeating: Lane(), count: load.connections)
        polled = [pollfd](repeating: pollfd(fd: -1, events: 0, revents: 0), count: load.connections)
    }

    mutating func close() {
        for index in lanes.indices { closeLane(index) }
        buffer.deallocate()
    }

    /// Before the schedule begins; one that fails is made again with its first request.
    mutating func connectAll() {
        let deadline = MonotonicClock.microseconds() + load.timeoutMilliseconds * 1_000
        for index in lanes.indices {
            guard let socket = try? Socket.connecting(to: load.target) else { continue }
            if socket.wait(for: POLLOUT, until: deadline), socket.connectFailure() == nil {
                lanes[index].socket = socket
                lanes[index].phase = .idle
            } else {
                socket.close()
            }
        }
    }

    mutating func report() throws(LoadClientError) -> LoadReport {
        begin = MonotonicClock.microseconds()
        lastSuccess = begin
        counts.scheduled = load.total
        while next < load.total || busy > 0 {
            var now = MonotonicClock.microseconds()
            startDue(now)
            expire(now)
            guard next < load.total || busy > 0 else { break }
            try wait(now)
            now = MonotonicClock.microseconds()
            for index in lanes.indices where polled[index].revents != 0 { proceed(index, now) }
            try journal?.flush()
        }
        let end = MonotonicClock.microseconds()
        counts.longestGapMicroseconds = max(counts.longestGapMicroseconds, end - lastSuccess)
        counts.elapsedMicroseconds = end - begin
        return counts
    }

    private func due(_ number: Int) -> Int64 {
        begin + Int64(number) * 1_000_000 / Int64(load.requestsPerSecond)
    }

    // MARK: The schedule

    private mutating func startDue(_ now: Int64) {
        while next < load.total {
            let dueAt = due(next)
            guard dueAt <= now else { return }
            let deadline = dueAt + load.timeoutMilliseconds * 1_000
            if now >= deadline {
                fail(next, .timeout, "no connection was free", wasSent: false)
                next += 1
                continue
            }
            guard let index = freeLane() else { return }
            if now - dueAt > load.lateAfterMilliseconds * 1_000 { counts.late += 1 }
            lanes[index].request = next
            lanes[index].dueAt = dueAt
            lanes[index].deadline = deadline
            lanes[index].bytes = encoded(next)
            lanes[index].sent = 0
            lanes[index].parser = ResponseParser(answersHead: load.request.method == "HEAD", keepsBody: false)
            next += 1
            busy += 1
            carry(index, now)
        }
    }

    /// By turns, so that all connections are used; connected ones first.
    private mutating func freeLane() -> Int? {
        guard busy < lanes.count else { return nil }
        var closed: Int?
        for step in lanes.indices {
            let index = (nextLane + step) % lanes.count
            guard lanes[index].request < 0 else { continue }
            if lanes[index].phase == .idle {
                nextLane = index + 1
                return index
            }
            if closed == nil { closed = index }
        }
        return closed
    }

    private func encoded(_ number: Int) -> [UInt8] {
        var extra = load.fieldsByTurn.isEmpty ? [] : load.fieldsByTurn[number % load.fieldsByTurn.count]
        extra.append(HTTPField(load.idField, "\(load.idPrefix)-\(number)"))
        return load.request.encoded(for: load.target, extra: extra)
    }

    /// Sends the connection's new request, or makes the connection first.
    private mutating func carry(_ index: Int, _ now: Int64) {
        guard lanes[index].phase == .closed else {
            lanes[index].phase = .sending
            return send(index, now)
        }
        do throws(LoadClientError) {
            lanes[index].socket = try Socket.connecting(to: load.target)
            lanes[index].phase = .connecting
        } catch {
            giveUp(index, error.code, error.message)
        }
    }

    // MARK: One connection's progress

    private mutating func proceed(_ index: Int, _ now: Int64) {
        switch lanes[index].phase {
        case .closed: return
        case .connecting:
            if let failure = lanes[index].socket?.connectFailure() {
                return giveUp(index, .notConnected, Socket.describe(failure))
            }
            lanes[index].phase = .sending
            send(index, now)
        case .sending: send(index, now)
        case .receiving: receive(index, now)
        case .idle:
            // The server closes an idle connection, or says what nobody asked for.
            closeLane(index)
        }
    }

    private mutating func send(_ index: Int, _ now: Int64) {
        guard let socket = lanes[index].socket else { return }
        let sent = lanes[index].sent
        let progress = lanes[index].bytes.withUnsafeBytes {
            socket.send(UnsafeRawBufferPointer(rebasing: $0[sent...]))
        }
        switch progress {
        case .done(let count):
            lanes[index].sent += count
            if lanes[index].sent == lanes[index].bytes.count { lanes[index].phase = .receiving }
        case .wouldBlock: return
        case .ended, .failed: receive(index, now)
        }
    }

    private mutating func receive(_ index: Int, _ now: Int64) {
        guard let socket = lanes[index].socket else { return }
        do throws(LoadClientError) {
            switch socket.receive(buffer) {
            case .done(let count):
                let taken = try lanes[index].parser.feed(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                guard taken == count else {
                    throw LoadClientError(.malformed, "\(count - taken) bytes after the end of the response")
                }
            case .wouldBlock: return
            case .ended: try lanes[index].parser.end()
            case .failed(let code): throw LoadClientError(.closed, Socket.describe(code))
            }
        } catch {
            return giveUp(index, error.code, error.message)
        }
        if lanes[index].parser.isComplete { finish(index, now) }
    }

    private mutating func finish(_ index: Int, _ now: Int64) {
        let lane = lanes[index]
        let response = lane.parser.response
        let number = lane.request
        counts.latency.record(microseconds: now - lane.dueAt)
        counts.statuses[response.status, default: 0] += 1
        let id = response[load.responseIDField] ?? ""
        if !id.isEmpty && !seenIDs.insert(ResponseID(id)).inserted { counts.duplicateIDs += 1 }
        journal?.append(id: id, status: response.status, loadID: "\(load.idPrefix)-\(number)")
        if load.expectedStatuses.contains(response.status) {
            counts.succeeded += 1
            counts.longestGapMicroseconds = max(counts.longestGapMicroseconds, now - lastSuccess)
            lastSuccess = now
        } else {
            counts.unexpected += 1
            note(number, "status \(response.status)")
        }
        lanes[index].request = -1
        busy -= 1
        if lane.parser.keepsConnection && lane.sent == lane.bytes.count {
            lanes[index].phase = .idle
        } else {
            closeLane(index)
        }
    }

    private mutating func giveUp(_ index: Int, _ code: LoadClientError.Code, _ message: String) {
        fail(lanes[index].request, code, message, wasSent: lanes[index].sent > 0)
        lanes[index].request = -1
        busy -= 1
        closeLane(index)
    }

    private mutating func fail(_ number: Int, _ code: LoadClientError.Code, _ message: String, wasSent: Bool) {
        if wasSent { counts.lost += 1 } else { counts.unsent += 1 }
        counts.failures[code.rawValue, default: 0] += 1
        note(number, "\(code.rawValue): \(message)")
    }

    private mutating func note(_ number: Int, _ text: String) {
        guard counts.examples.count < 10 else { return }
        let milliseconds = (MonotonicClock.microseconds() - begin) / 1_000
        counts.examples.append("\(load.idPrefix)-\(number) at \(milliseconds) ms: \(text)")
    }

    private mutating func closeLane(_ index: Int) {
        lanes[index].socket?.close()
        lanes[index].socket = nil
        lanes[index].phase = .closed
    }

    private mutating func expire(_ now: Int64) {
        for index in lanes.indices where lanes[index].request >= 0 && now >= lanes[index].deadline {
            giveUp(index, .timeout, "no whole response in \(load.timeoutMilliseconds) ms")
        }
    }

    // MARK: Waiting

    /// Until a connection is ready, a request is due, or a deadline comes.
    private mutating func wait(_ now: Int64) throws(LoadClientError) {
        var until = Int64.max
        if next < load.total && busy < lanes.count { until = due(next) }
        if next < load.total { until = min(until, due(next) + load.timeoutMilliseconds * 1_000) }
        for index in lanes.indices {
            let events: Int32
            switch lanes[index].phase {
            case .closed: events = 0
            case .connecting, .sending: events = POLLOUT
            case .idle, .receiving: events = POLLIN
            }
            polled[index].fd = events == 0 ? -1 : lanes[index].socket?.descriptor ?? -1
            polled[index].events = Int16(events)
            polled[index].revents = 0
            if lanes[index].request >= 0 { until = min(until, lanes[index].deadline) }
        }
        let pause = max(0, min(until - now, 1_000_000))
        let ready = cloadclient_poll(&polled, UInt32(polled.count), pause)
        guard ready >= 0 else { throw LoadClientError(.system, "ppoll: \(Socket.describe(-ready))") }
        // After a signal nothing is ready; what is in the array then is not to be trusted.
        if ready == 0 { for index in polled.indices { polled[index].revents = 0 } }
    }
}

/// 128 bits of an id's text, so that millions of ids take little room: two different ones are taken for the same with a
/// chance of less than one in 10^24 for ten million.
private struct ResponseID: Hashable {
    private var first: UInt64 = 0xCBF2_9CE4_8422_2325
    private var second: UInt64 = 0x6C62_272E_07BB_0142

    /// FNV-1a with two offsets, the second one over the bytes' complements.
    init(_ text: String) {
        for byte in text.utf8 {
            first = (first ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
            second = (second ^ UInt64(~byte)) &* 0x0000_0100_0000_01B3
            second = second << 31 | second >> 33
        }
    }
}
