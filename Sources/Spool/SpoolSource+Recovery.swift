import CloudModel
import Glibc
import Synchronization

extension SpoolSource {
    /// Finds the segments that former processes left behind, makes them durable, and learns the last number used.
    func recover() throws(SpoolError) {
        var segments: [Segment] = []
        var lost: SegmentHeader.Lost?
        var highestOrdinal: UInt64 = 0
        for name in try directoryEntries(of: path) {
            guard let ordinal = Segment.ordinal(ofFileName: name) else { continue }
            highestOrdinal = max(highestOrdinal, ordinal)
            let file = "\(path)/\(name)"
            switch try Self.inspect(file, crc: crc) {
            case .unused: unlink(file)
            case .damaged(let bytes):
                report(.unreadableHeader, segment: file)
                segments.append(Segment(existing: file, ordinal: ordinal, firstSequence: nil, bytes: bytes))
            case .segment(let header, let pending, let bytes):
                lost = pending
                segments.append(
                    Segment(existing: file, ordinal: ordinal, firstSequence: header.firstSequence, bytes: bytes))
            }
        }
        let last = try lastSequence(of: segments)
        if let pending = lost, pending.sequence <= last { lost = nil }
        published[0].store(last, ordering: .releasing)
        durable.store(last, ordering: .releasing)
        state.withLock { state in
            state.segments = segments
            state.bytes = segments.reduce(0) { $0 + $1.bytes }
            state.nextOrdinal = highestOrdinal + 1
            state.directoryChanged = true
            state.lostInHeader = lost
        }
        synchronise()
    }

    /// Begins to write where the former process, or the log database, left off.
    func makeWriter(after stored: UInt64) -> SpoolWriter {
        let last = max(published[0].load(ordering: .acquiring), stored)
        published[0].store(last, ordering: .releasing)
        var lost = state.withLock { state in state.lostInHeader.take() }
        lost?.sequence = last + 1
        let writer = SpoolWriter(self, nextSequence: last + 1, lost: lost)
        synchronise()
        // Segments in which nothing was ever written go now: restarts without traffic leave no trail.
        acknowledge(upTo: 0)
        return writer
    }

    /// After the writer's end: everything durable, the unused room given back.
    func finish(_ ended: Segment?, usedBytes: Int) {
        synchronise()
        let spare = state.withLock { state in
            if let spare = state.spare { state.bytes -= spare.bytes }
            return state.spare.take()
        }
        if let spare {
            spare.release()
            unlink(spare.path)
        }
        if let ended { trim(ended, to: usedBytes) }
    }

    /// The last valid record's number over all segments.
    private func lastSequence(of segments: [Segment]) throws(SpoolError) -> UInt64 {
        guard let newest = segments.lastIndex(where: { $0.firstSequence != nil }) else {
            // Nothing is readable: any number that these segments could hold is avoided.
            return UInt64(segments.count) * numbersPerSegment
        }
        let segment = segments[newest]
        let scanner = try SegmentScanner(path: segment.path, firstSequence: segment.firstSequence!, crc: crc)
        var isWhole = false
        scan: while true {
            switch scanner.next() {
            case .record, .damaged: continue
            case .end:
                isWhole = true
                break scan
            case .damagedRest: break scan
            case .failed(let reason): throw SpoolError(.io, "cannot read \(segment.path): \(reason)")
            }
        }
        if isWhole, Self.isZero(segment.path, from: scanner.offset) { trim(segment, to: scanner.offset) }
        segment.lastSequence = scanner.nextSequence - 1
        let unreadable = UInt64(segments.count - 1 - newest)
        return scanner.nextSequence - 1 + unreadable * numbersPerSegment
    }

    private var numbersPerSegment: UInt64 { UInt64(segmentBytes / RecordFrame.size(ofBody: LostBody.size)) }

    private func trim(_ segment: Segment, to bytes: Int) {
        let length = max(bytes, SegmentHeader.size)
        guard length < segment.bytes, truncate(segment.path, off_t(length)) == 0 else { return }
        state.withLock { state in
            if state.segments.contains(where: { $0 === segment }) { state.bytes -= segment.bytes - length }
            segment.bytes = length
        }
    }

    private enum Inspection {
        case unused
        case damaged(bytes: Int)
        case segment(SegmentHeader, lost: SegmentHeader.Lost?, bytes: Int)
    }

    /// Reads the header, and makes durable what the former process may not have had the time for: what is read from
    /// here on must not be taken back by a power loss.
    private static func inspect(_ file: String, crc: CRC32C) throws(SpoolError) -> Inspection {
        let descriptor = open(file, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { throw SpoolError(.io, "cannot open \(file): \(systemReason())") }
        defer { close(descriptor) }
        guard fdatasync(descriptor) == 0 else { throw SpoolError(.io, "cannot sync \(file): \(systemReason())") }
        let bytes = Int(lseek(descriptor, 0, SEEK_END))
        var head = [UInt8](repeating: 0, count: SegmentHeader.size + RecordFrame.headSize)
        let count = pread(descriptor, &head, head.count, 0)
        guard count >= 0 else { throw SpoolError(.io, "cannot read \(file): \(systemReason())") }
        switch head.withUnsafeBytes({ SegmentHeader.read(UnsafeRawBufferPointer(rebasing: $0[..<count]), crc: crc) }) {
        case .unused: return .unused
        case .damaged: return count == 0 ? .unused : .damaged(bytes: bytes)
        case .header(let header, let lost): return .segment(header, lost: lost, bytes: bytes)
        }
    }

    private static func isZero(_ file: String, from offset: Int) -> Bool {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var position = offset
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = pread(descriptor, &chunk, chunk.count, off_t(position))
            if count == 0 { return true }
            guard count > 0, chunk[..<count].allSatisfy({ $0 == 0 }) else { return false }
            position += count
        }
    }
}
