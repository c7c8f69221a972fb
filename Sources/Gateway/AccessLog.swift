import CGateway
import CloudModel
import Glibc
import Logging
import Synchronization

/// The thread that writes the access log: takes records out of the loops' rings, makes lines of them, and writes these
/// to a file or to standard output. However slow that is, only this thread waits; what finds no room in a ring is
/// dropped and counted.
final class AccessLog: @unchecked Sendable {
    /// By loop.
    let rings: [AccessLogRing]
    private let settings: AccessLogSettings
    private let logger: Logger
    private let wake: Int32
    private let isStopping = Atomic(false)
    private let wantsReopening = Atomic(false)
    private let written = Atomic<UInt64>(0)
    private let lost = Atomic<UInt64>(0)
    private let thread = Mutex<UInt?>(nil)

    // The thread's own.
    private var descriptor: Int32
    private var isRegularFile = false
    private var lines: [UInt8] = []
    private var lineCount: UInt64 = 0
    private var warnedAt = Int64.min

    private static let visitMilliseconds: Int32 = 100
    /// Lines are written in pieces of this size.
    private static let pieceSize = 64 << 10
    /// Of a pipe the kernel takes so much without waiting, where it says that it takes anything (PIPE_BUF).
    private static let pipePieceSize = 4_096
    private static let warningInterval: Int64 = 60_000_000
    /// How long the end of the process waits for a reader of standard output.
    private static let lastPatience: Int64 = 1_000_000

    /// Opens the target.
    init(_ settings: AccessLogSettings, loops: Int, logger: Logger) throws(GatewayError) {
        self.settings = settings
        self.logger = logger
        descriptor = try Self.open(settings.target)
        wake = cgateway_eventfd()
        guard wake >= 0 else {
            cgateway_close(descriptor)
            throw GatewayError(.exhausted, "no eventfd (error \(-wake)); raise the limit of open files")
        }
        rings = (0..<loops).map { _ in AccessLogRing() }
        lookAtTarget()
    }

    deinit {
        cgateway_close(wake)
        cgateway_close(descriptor)
        for ring in rings { ring.deallocate() }
    }

    private static func open(_ target: AccessLogSettings.Target) throws(GatewayError) -> Int32 {
        switch target {
        case .standardOutput:
            let copy = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
            guard copy >= 0 else { throw GatewayError(.exhausted, "cannot use standard output: error \(errno)") }
            return copy
        case .file(let path):
            let opened = Glibc.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o640)
            guard opened >= 0 else {
                throw GatewayError(
                    .invalidConfiguration,
                    "cannot write the access log '\(path)': \(String(cString: strerror(errno))); make its directory "
                        + "and let this user write there, or give another path in spec.gateway.accessLog.target")
            }
            return opened
        }
    }

    private func lookAtTarget() {
        var status = stat()
        isRegularFile = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// Lines written, and records that were not: for want of room in a ring, or because the target took none until the
    /// end.
    var totals: (written: UInt64, dropped: UInt64) {
        (
            written.load(ordering: .relaxed),
            rings.reduce(lost.load(ordering: .relaxed)) { $0 + $1.dropped }
        )
    }

    func start() throws(GatewayError) {
        var id: UInt = 0
        let context = Unmanaged.passRetained(self).toOpaque()
        let failure = cgateway_start_thread(
            "gateway-access", { Unmanaged<AccessLog>.fromOpaque($0!).takeRetainedValue().run() }, context, &id)
        guard failure == 0 else {
            Unmanaged<AccessLog>.fromOpaque(context).release()
            throw GatewayError(.exhausted, "cannot start a thread (error \(failure))")
        }
        let started = id
        thread.withLock { $0 = started }
    }

    /// The file has been moved away: goes on in a new one under the old name.
    func reopen() {
        wantsReopening.store(true, ordering: .releasing)
        cgateway_signal(wake)
    }

    /// Writes what is there and ends. Blocks.
    func stop() {
        isStopping.store(true, ordering: .releasing)
        cgateway_signal(wake)
        if let id = thread.withLock({ $0.take() }) { cgateway_join_thread(id) }
    }

    // MARK: The thread

    private func run() {
        while true {
            let isLast = isStopping.load(ordering: .acquiring)
            visit()
            if isLast { break }
            if wantsReopening.exchange(false, ordering: .acquiring) { openAnew() }
            var descriptor = pollfd(fd: wake, events: Int16(POLLIN), revents: 0)
            if poll(&descriptor, 1, Self.visitMilliseconds) > 0 { cgateway_drain_signal(wake) }
        }
        lost.add(lineCount + UInt64(discardAll()), ordering: .relaxed)
    }

    /// Takes all records that there are, unless the target takes no more.
    private func visit() {
        guard flush() else { return }
        for ring in rings {
            while ring.takeFirst({ add(AccessRecord($0)) }) {
                if lines.count >= Self.pieceSize, !flush() { return }
            }
        }
        _ = flush()
    }

    private func add(_ record: AccessRecord) {
        AccessLine.append(record, settings.format, to: &lines)
        lineCount += 1
    }

    private func discardAll() -> Int {
        var count = 0
        for ring in rings { while ring.takeFirst({ _ in }) { count += 1 } }
        return count
    }

    /// Writes all lines; false where the target does not take them now. What is left is tried again, so that no line is
    /// cut in the middle.
    private func flush() -> Bool {
        var start = 0
        let deadline = cgateway_monotonic_microseconds() + Self.lastPatience
        while start < lines.count {
            guard waitUntilWritable(deadline) else { break }
            let most = isRegularFile ? Self.pieceSize : Self.pipePieceSize
            let count = lines.withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress! + start, min(most, $0.count - start))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                warn("the access log cannot be written; its lines wait, and are dropped when there are too many", errno)
                break
            }
            start += count
        }
        guard start == lines.count else {
            lines.removeFirst(start)
            return false
        }
        written.add(lineCount, ordering: .relaxed)
        lineCount = 0
        lines.removeAll(keepingCapacity: true)
        return true
    }

    /// A file always is. False where the reader of a pipe takes nothing for a while, or too long for the process's end.
    private func waitUntilWritable(_ deadline: Int64) -> Bool {
        guard !isRegularFile else { return true }
        while true {
            var target = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            if poll(&target, 1, Self.visitMilliseconds) > 0 { return true }
            if !isStopping.load(ordering: .acquiring) || cgateway_monotonic_microseconds() > deadline { return false }
        }
    }

    private func openAnew() {
        guard case .file = settings.target else { return }
        do throws(GatewayError) {
            let opened = try Self.open(settings.target)
            cgateway_close(descriptor)
            descriptor = opened
            lookAtTarget()
        } catch {
            logger.error("the access log goes on in the old file", metadata: ["reason": "\(error)"])
        }
    }

    private func warn(_ message: Logger.Message, _ error: Int32) {
        let now = cgateway_monotonic_microseconds()
        guard warnedAt == .min || now - warnedAt >= Self.warningInterval else { return }
        warnedAt = now
        logger.warning(
            message, metadata: ["target": "\(settings.target)", "error": "\(String(cString: strerror(error)))"])
    }
}
