import CloudModel
import Glibc
import Synchronization

/// The operating system's last error as text with its number, for people.
func systemReason(_ number: Int32 = errno) -> String { "\(String(cString: strerror(number))) (errno \(number))" }

func wallClock() -> Timestamp {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return Timestamp(microseconds: Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1_000)
}

/// One segment file. All mutable fields are guarded by the lock of its `SpoolSource`; only the bytes of the mapping are
/// not: the writer alone stores into them.
final class Segment: @unchecked Sendable {
    let path: String
    let ordinal: UInt64
    /// Nil where the header is damaged, or not written yet.
    var firstSequence: UInt64?
    /// The last record's number (first - 1 where there is none), once no more will come; nil before.
    var lastSequence: UInt64?
    var bytes: Int
    /// Bytes written, header included; valid once sealed.
    var usedBytes = 0
    /// Bytes from the beginning that are durable.
    var syncedBytes = 0
    /// Nil once everything is durable.
    var base: UnsafeMutableRawPointer?
    /// No more records will be written.
    var isSealed: Bool
    /// Nothing of it can be lost to a power loss any more.
    var isSynced: Bool

    static let suffix = ".segment"

    /// A segment that a former process left behind.
    init(existing path: String, ordinal: UInt64, firstSequence: UInt64?, bytes: Int) {
        self.path = path
        self.ordinal = ordinal
        self.firstSequence = firstSequence
        self.bytes = bytes
        isSealed = true
        isSynced = true
    }

    /// Makes a file of `bytes` zeros and maps it.
    init(creating path: String, ordinal: UInt64, bytes: Int) throws(SpoolError) {
        let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw SpoolError(.io, "cannot create \(path): \(systemReason())") }
        let allocation = posix_fallocate(descriptor, 0, off_t(bytes))
        guard allocation == 0 else {
            Glibc.close(descriptor)
            unlink(path)
            throw SpoolError(.io, "cannot reserve \(bytes) bytes for \(path): \(systemReason(allocation))")
        }
        let mapping = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
        let reason = systemReason()
        Glibc.close(descriptor)
        guard let mapping, mapping != MAP_FAILED else {
            unlink(path)
            throw SpoolError(.io, "cannot map \(path): \(reason)")
        }
        self.path = path
        self.ordinal = ordinal
        self.bytes = bytes
        base = mapping
        isSealed = false
        isSynced = false
    }

    deinit { release() }

    /// Gives every page its memory and its place on disk, so that the writer's first store into it does not fault into
    /// the file system (microseconds a page). Where the kernel is older than 5.14, the writer takes the faults.
    func populate() {
        let populateForWriting: Int32 = 23  // MADV_POPULATE_WRITE, which the C library's header may lack.
        if let base { _ = madvise(base, bytes, populateForWriting) }
    }

    /// Lets go of the mapping.
    func release() {
        if let base { munmap(base, bytes) }
        base = nil
    }

    static func fileName(ordinal: UInt64) -> String {
        let digits = String(ordinal)
        return String(repeating: "0", count: 20 - digits.utf8.count) + digits + suffix
    }

    static func ordinal(ofFileName name: String) -> UInt64? {
        guard name.hasSuffix(suffix), name.utf8.count == 20 + suffix.utf8.count else { return nil }
        return UInt64(name.dropLast(suffix.utf8.count))
    }
}

/// Reads the records of one segment file in order, a chunk at a time.
final class SegmentScanner {
    enum Step {
        /// `body` is valid until the next step.
        case record(sequence: UInt64, body: UnsafeRawBufferPointer, offset: Int)
        /// This record's checksum is wrong, but the next one is whole.
        case damaged(sequence: UInt64, offset: Int)
        /// What follows cannot be made out; the segment has ended.
        case damagedRest(sequence: UInt64, offset: Int)
        /// No record has been written here (yet).
        case end
        case failed(reason: String)
    }

    private(set) var offset: Int
    private(set) var nextSequence: UInt64
    private let descriptor: Int32
    private let crc: CRC32C
    private var buffer: UnsafeMutableRawBufferPointer
    /// The part of the file that the buffer holds.
    private var buffered = 0..<0

    init(path: String, firstSequence: UInt64, crc: CRC32C, chunkBytes: Int = 1 << 18) throws(SpoolError) {
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        self.crc = crc
        offset = SegmentHeader.size
        nextSequence = firstSequence
        buffer = .allocate(byteCount: chunkBytes, alignment: 8)
        if descriptor < 0 { throw SpoolError(.io, "cannot open \(path): \(systemReason())") }
    }

    deinit {
        buffer.deallocate()
        if descriptor >= 0 { close(descriptor) }
    }

    /// Forgets what was read ahead: what the writer has published since is seen from here on.
    func refresh() { buffered = 0..<0 }

    func next() -> Step {
        let sequence = nextSequence
        let start = offset
        switch frame(at: start, sequence: sequence) {
        case .failure(let reason): return .failed(reason: reason.text)
        case .success(.end): return .end
        case .success(.incomplete(let needed)):
            return needed == RecordFrame.headSize ? .end : .damagedRest(sequence: sequence, offset: start)
        case .success(.record(let body, let size)):
            offset = start + size
            nextSequence = sequence + 1
            return .record(sequence: sequence, body: body, offset: start)
        case .success(.damaged(let size)):
            guard case .success(.record) = frame(at: start + size, sequence: sequence + 1) else {
                return .damagedRest(sequence: sequence, offset: start)
            }
            offset = start + size
            nextSequence = sequence + 1
            return .damaged(sequence: sequence, offset: start)
        }
    }

    private struct Reason: Error { var text: String }

    private func frame(at position: Int, sequence: UInt64) -> Result<RecordFrame.Reading, Reason> {
        var needed = RecordFrame.headSize
        while true {
            if !(buffered.contains(position) && position + needed <= buffered.upperBound) {
                if let reason = fill(from: position, atLeast: needed) { return .failure(Reason(text: reason)) }
            }
            let rest = max(0, buffered.upperBound - position)
            guard rest >= needed else { return .success(.incomplete(needed: needed)) }
            let bytes = UnsafeRawBufferPointer(rebasing: buffer[(position - buffered.lowerBound)...].prefix(rest))
            let reading = RecordFrame.read(bytes, sequence: sequence, crc: crc)
            guard case .incomplete(let more) = reading else { return .success(reading) }
            // A length beyond any record's is damage, not a reason to read a gigabyte.
            guard more <= (1 << 20) + RecordFrame.headSize else { return .success(.damaged(size: more)) }
            needed = more
        }
    }

    /// Reads a chunk from `position` on; gives back the reason where it cannot.
    private func fill(from position: Int, atLeast needed: Int) -> String? {
        if needed > buffer.count {
            buffer.deallocate()
            buffer = .allocate(byteCount: needed, alignment: 8)
        }
        var filled = 0
        while filled < buffer.count {
            let count = pread(descriptor, buffer.baseAddress! + filled, buffer.count - filled, off_t(position + filled))
            if count < 0 {
                if errno == EINTR { continue }
                return systemReason()
            }
            if count == 0 { break }
            filled += count
        }
        buffered = position..<(position + filled)
        return nil
    }
}
