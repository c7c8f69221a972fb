public import CloudModel
import Synchronization

/// Appends the records of one source. Belongs to one event loop: no two calls at the same time.
///
/// An append stores into memory that the operating system shares with the file: no system call, no lock, no allocation.
/// Once it has returned true, the record survives the death of the process; a power loss, after the sync interval. Only
/// the append that fills a segment takes a lock to fetch the next one, which was made ahead of time.
public final class SpoolWriter: @unchecked Sendable {
    public let source: String
    private let spool: SpoolSource
    private let hot: UnsafeMutablePointer<Hot>
    private let maximumBodyBytes: Int
    private var current: Segment?

    /// What an append needs, apart from the object: no exclusivity checks, no reference counts.
    private struct Hot {
        var base: UnsafeMutableRawPointer
        var offset: Int
        /// Where records must end: 0 while there is no segment.
        var limit: Int
        var nextSequence: UInt64
        /// Records refused since the last one that was written.
        var lost: SegmentHeader.Lost?
        var published: UnsafeMutablePointer<Atomic<UInt64>>
        var crc: CRC32C
    }

    init(_ spool: SpoolSource, nextSequence: UInt64, lost: SegmentHeader.Lost?) {
        source = spool.name
        self.spool = spool
        maximumBodyBytes = spool.settings.maximumRecordBytes
        hot = .allocate(capacity: 1)
        hot.initialize(
            to: Hot(
                base: UnsafeMutableRawPointer(hot), offset: 0, limit: 0, nextSequence: nextSequence, lost: lost,
                published: spool.published, crc: spool.crc))
        if openSegment() { current?.populate() }
    }

    deinit {
        close()
        hot.deallocate()
    }

    /// The number that the next record gets.
    public var nextSequence: UInt64 { hot.pointee.nextSequence }

    /// Records refused and not yet written down as a `.lost` record.
    public var unreportedLosses: UInt64 { hot.pointee.lost?.count ?? 0 }

    /// The part of the spool's room that is taken by full segments whose records have not been acknowledged. Takes a
    /// lock for a moment.
    public var waitingPart: Double { spool.waitingPart }

    /// Whether records of so many bytes together, at most a segment, will find room: what is asked before a request is
    /// served that must be recorded. Takes a lock only where the current segment is nearly full.
    @inline(__always)
    public func hasRoom(forBytes bytes: Int) -> Bool {
        if _fastPath(hot.pointee.offset &+ bytes <= hot.pointee.limit) { return true }
        return spool.hasNextSegment
    }

    /// The hot path. False where the spool is full, or a name is too long: the record is counted as lost.
    public func append(_ usage: borrowing RawUsageRecord) -> Bool {
        guard let size = UsageBody.size(of: usage), let frame = room(forBody: size, at: usage.completedAt) else {
            if UsageBody.size(of: usage) == nil { lose(at: usage.completedAt) }
            return false
        }
        UsageBody.write(usage, to: frame + RecordFrame.headSize)
        commit(frame, bodyBytes: size)
        return true
    }

    /// Any record, at the price of allocations. False where the spool is full or the record is too large.
    public func append(_ record: SpoolRecord) -> Bool {
        switch record {
        case .usage(let usage): append(usage)
        case .audit(let event): append(body: AuditBody.bytes(event), at: event.respondedAt)
        case .lost(let count, let since, let until): append(lost: count, since: since, until: until)
        }
    }

    /// Ends the source's last segment. No append after this; the records stay readable.
    public func close() {
        guard
            spool.state.withLock({ state in
                defer { state.hasWriter = false }
                return state.hasWriter
            })
        else { return }
        let ended = current
        current = nil
        let used = hot.pointee.offset
        hot.pointee.limit = 0
        spool.replace(ended, endingAt: hot.pointee.nextSequence - 1, usedBytes: used, by: nil)
        spool.finish(ended, usedBytes: used)
    }

    // MARK: Appending

    private func append(_ usage: UsageRecord) -> Bool {
        var consumer = usage.consumer.rawValue
        var service = usage.service.rawValue
        var instance = usage.instance?.rawValue ?? ""
        return consumer.withUTF8 { consumer in
            service.withUTF8 { service in
                instance.withUTF8 { instance in
                    append(
                        RawUsageRecord(
                            requestID: usage.requestID, consumer: UnsafeRawBufferPointer(consumer),
                            service: UnsafeRawBufferPointer(service),
                            instance: usage.instance == nil ? nil : UnsafeRawBufferPointer(instance),
                            outcome: usage.outcome, status: usage.status, bytesIn: usage.bytesIn,
                            bytesOut: usage.bytesOut, receivedAt: usage.receivedAt, forwardedAt: usage.forwardedAt,
                            completedAt: usage.completedAt))
                }
            }
        }
    }

    private func append(body: [UInt8], at time: Timestamp) -> Bool {
        guard let frame = room(forBody: body.count, at: time) else { return false }
        body.withUnsafeBytes { (frame + RecordFrame.headSize).copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
        commit(frame, bodyBytes: body.count)
        return true
    }

    private func append(lost count: UInt64, since: Timestamp, until: Timestamp) -> Bool {
        guard let frame = room(forBody: LostBody.size, at: until) else { return false }
        LostBody.write(count: count, since: since, until: until, to: frame + RecordFrame.headSize)
        commit(frame, bodyBytes: LostBody.size)
        return true
    }

    /// Where the next record goes, or nil after having counted it as lost.
    @inline(__always)
    private func room(forBody bytes: Int, at time: Timestamp) -> UnsafeMutableRawPointer? {
        let end = hot.pointee.offset &+ RecordFrame.size(ofBody: bytes)
        if _fastPath(end <= hot.pointee.limit && hot.pointee.lost == nil) {
            return hot.pointee.base + hot.pointee.offset
        }
        return makeRoom(forBody: bytes, at: time)
    }

    @inline(__always)
    private func commit(_ frame: UnsafeMutableRawPointer, bodyBytes: Int) {
        let sequence = hot.pointee.nextSequence
        RecordFrame.commit(frame, bodyBytes: bodyBytes, sequence: sequence, crc: hot.pointee.crc)
        hot.pointee.offset &+= RecordFrame.size(ofBody: bodyBytes)
        hot.pointee.nextSequence = sequence &+ 1
        hot.pointee.published[1].store(UInt64(truncatingIfNeeded: hot.pointee.offset), ordering: .relaxed)
        hot.pointee.published[0].store(sequence, ordering: .releasing)
    }

    // MARK: The slow path

    @inline(never)
    private func makeRoom(forBody bytes: Int, at time: Timestamp) -> UnsafeMutableRawPointer? {
        guard bytes <= maximumBodyBytes else {
            lose(at: time)
            return nil
        }
        if let lost = hot.pointee.lost {
            // The losses come first: the order of the books is the order of what happened.
            guard has(RecordFrame.size(ofBody: LostBody.size)) || openSegment() else {
                lose(at: time)
                return nil
            }
            let frame = hot.pointee.base + hot.pointee.offset
            LostBody.write(
                count: lost.count, since: lost.since, until: lost.until, to: frame + RecordFrame.headSize)
            commit(frame, bodyBytes: LostBody.size)
            setLost(nil)
        }
        guard has(RecordFrame.size(ofBody: bytes)) || openSegment() else {
            lose(at: time)
            return nil
        }
        return hot.pointee.base + hot.pointee.offset
    }

    private func has(_ bytes: Int) -> Bool { hot.pointee.offset + bytes <= hot.pointee.limit }

    /// Ends the current segment and begins the next; false where there is none to be had.
    private func openSegment() -> Bool {
        guard let next = spool.takeSegment(), let base = next.base else { return false }
        next.firstSequence = hot.pointee.nextSequence
        SegmentHeader(source: source, firstSequence: hot.pointee.nextSequence, createdAt: wallClock())
            .write(to: base, crc: hot.pointee.crc)
        SegmentHeader.write(hot.pointee.lost, to: base)
        spool.replace(current, endingAt: hot.pointee.nextSequence - 1, usedBytes: hot.pointee.offset, by: next)
        current = next
        hot.pointee.base = base
        hot.pointee.offset = SegmentHeader.size
        hot.pointee.limit = next.bytes
        return true
    }

    /// Counts a refused record, also in the segment's header, where the count outlives the process.
    @inline(never)
    private func lose(at time: Timestamp) {
        var lost =
            hot.pointee.lost
            ?? SegmentHeader.Lost(sequence: hot.pointee.nextSequence, count: 0, since: time, until: time)
        lost.count += 1
        lost.since = min(lost.since, time)
        lost.until = max(lost.until, time)
        setLost(lost)
        spool.lost.add(1, ordering: .relaxed)
    }

    private func setLost(_ lost: SegmentHeader.Lost?) {
        hot.pointee.lost = lost
        if current != nil { SegmentHeader.write(lost, to: hot.pointee.base) }
    }
}
