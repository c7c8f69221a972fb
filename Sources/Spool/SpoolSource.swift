import CloudModel
import Glibc
import Synchronization

/// The segments of one source, shared by its writer, the synchroniser and the reader.
///
/// The writer touches the lock only when a segment is full. What it publishes with each record are two words that are
/// stored without one: the last sequence number, and how far the current segment is written.
final class SpoolSource: Sendable {
    struct State {
        /// In order of ordinal; the last one is the writer's while there is one.
        var segments: [Segment] = []
        var spare: Segment?
        var nextOrdinal: UInt64 = 1
        /// Bytes of all segments, the spare and those being created.
        var bytes = 0
        var hasWriter = false
        /// The last attempt to make a segment failed; only the synchroniser tries again, so that the writer does not
        /// spend a system call on every refused record.
        var creationFailed = false
        /// Files were made or removed since the directory was last synced.
        var directoryChanged = false
        var acknowledged: UInt64 = 0
        var syncedLosses: UInt64 = 0
        var faults: [SpoolFault] = []
        var reported: Set<SpoolFault> = []
        var lostInHeader: SegmentHeader.Lost?
    }

    let name: String
    let path: String
    let settings: SpoolSettings
    let crc: CRC32C
    let state = Mutex(State())
    /// Held while files are synced, so that none is closed under another's hands.
    private let syncing = Mutex(())
    let durable = Atomic<UInt64>(0)
    let lost = Atomic<UInt64>(0)
    /// Two words in memory of their own, so that the writer reaches them without touching this object.
    nonisolated(unsafe) let published: UnsafeMutablePointer<Atomic<UInt64>>
    /// Held while a segment is made, so that segments are numbered in the order in which they are used.
    private let creating = Mutex(())
    private let directory: Int32

    var segmentBytes: Int { Int(settings.segmentSize.bytes) }

    init(name: String, path: String, settings: SpoolSettings, crc: CRC32C) throws(SpoolError) {
        self.name = name
        self.path = path
        self.settings = settings
        self.crc = crc
        published = .allocate(capacity: 2)
        published.initialize(to: Atomic(0))
        (published + 1).initialize(to: Atomic(0))
        directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw SpoolError(.io, "cannot open \(path): \(systemReason())") }
    }

    deinit {
        published.deallocate()
        if directory >= 0 { close(directory) }
    }

    // MARK: Making segments

    /// A segment for the writer: the spare, or a new one; nil where the limit or the disk refuses.
    func takeSegment() -> Segment? {
        if let spare = takeSpare() { return spare }
        guard !state.withLock({ $0.creationFailed }) else { return nil }
        // The synchroniser may be at it just now: what it makes comes first.
        return creating.withLock { _ in takeSpare() ?? createSegment() }
    }

    /// Whether the writer would get another segment, as far as can be told without making one.
    var hasNextSegment: Bool {
        state.withLock { state in
            if state.spare != nil { return true }
            return !state.creationFailed && state.bytes + segmentBytes <= Int(settings.maximumBytesPerWriter.bytes)
        }
    }

    private func takeSpare() -> Segment? { state.withLock { state in state.spare.take() } }

    /// Makes the next segment ahead of time, once the current one is half full; after a failure only to `retry`.
    func prepareSpare(retry: Bool) {
        let wanted = state.withLock { state in
            guard state.hasWriter, state.spare == nil else { return false }
            if state.creationFailed { return retry }
            return Int(published[1].load(ordering: .relaxed)) > segmentBytes / 2
        }
        guard wanted else { return }
        creating.withLock { _ in
            guard let segment = createSegment() else { return }
            segment.populate()
            let isWanted = state.withLock { state in
                if state.hasWriter { state.spare = segment } else { state.bytes -= segment.bytes }
                return state.hasWriter
            }
            if !isWanted { unlink(segment.path) }
        }
    }

    private func createSegment() -> Segment? {
        let ordinal: UInt64? = state.withLock { state in
            guard state.bytes + segmentBytes <= Int(settings.maximumBytesPerWriter.bytes) else { return nil }
            state.bytes += segmentBytes
            defer { state.nextOrdinal += 1 }
            return state.nextOrdinal
        }
        guard let ordinal else { return nil }
        let file = "\(path)/\(Segment.fileName(ordinal: ordinal))"
        do throws(SpoolError) {
            let segment = try Segment(creating: file, ordinal: ordinal, bytes: segmentBytes)
            state.withLock { state in
                state.creationFailed = false
                state.directoryChanged = true
            }
            return segment
        } catch {
            state.withLock { state in
                state.bytes -= segmentBytes
                state.creationFailed = true
            }
            report(.segmentNotCreated(reason: error.message), segment: path)
            return nil
        }
    }

    /// Ends the writer's current segment, whose last record has the number `last`, and puts `next` in its place.
    func replace(_ current: Segment?, endingAt last: UInt64, usedBytes: Int, by next: Segment?) {
        state.withLock { state in
            current?.lastSequence = last
            current?.usedBytes = usedBytes
            current?.isSealed = true
            if let next {
                state.segments.append(next)
                // Under the lock: whoever looks at the last segment sees how far that one is written, not its
                // predecessor.
                published[1].store(UInt64(SegmentHeader.size), ordering: .relaxed)
            }
        }
    }

    // MARK: Durability

    /// Makes durable what has been published so far, and says so.
    func synchronise() { syncing.withLock { _ in synchroniseAlone() } }

    /// What is to be synced of one segment: only the pages that were written, not the room made ready ahead of them.
    private struct Work {
        var segment: Segment
        var base: UnsafeMutableRawPointer
        var range: Range<Int>
        var wasSealed: Bool
    }

    private func synchroniseAlone() {
        let target = published[0].load(ordering: .acquiring)
        let losses = lost.load(ordering: .acquiring)
        let (work, syncDirectory) = state.withLock { state -> ([Work], Bool) in
            let written = Int(published[1].load(ordering: .relaxed))
            let isBehind = target > durableNow
            var work: [Work] = []
            for segment in state.segments where !segment.isSynced && (segment.isSealed || isBehind) {
                guard let base = segment.base else { continue }
                let end = segment.isSealed ? segment.usedBytes : written
                work.append(
                    Work(
                        segment: segment, base: base, range: segment.syncedBytes & ~4_095..<end,
                        wasSealed: segment.isSealed))
            }
            if losses != state.syncedLosses, let segment = state.segments.last, let base = segment.base {
                work.append(Work(segment: segment, base: base, range: 0..<SegmentHeader.size, wasSealed: false))
            }
            state.syncedLosses = losses
            defer { state.directoryChanged = false }
            return (work, state.directoryChanged)
        }
        for item in work where msync(item.base + item.range.lowerBound, item.range.count, MS_SYNC) != 0 {
            report(.syncFailed(reason: systemReason()), segment: item.segment.path)
        }
        if syncDirectory, fsync(directory) != 0 { report(.syncFailed(reason: systemReason()), segment: path) }
        state.withLock { _ in
            for item in work {
                item.segment.syncedBytes = max(item.segment.syncedBytes, item.range.upperBound)
                guard item.wasSealed else { continue }
                item.segment.isSynced = true
                item.segment.release()
            }
        }
        durable.store(target, ordering: .releasing)
    }

    private var durableNow: UInt64 { durable.load(ordering: .relaxed) }

    // MARK: Giving segments back

    /// Deletes the segments of which every record is acknowledged. The last one stays: it holds the sequence number.
    func acknowledge(upTo sequence: UInt64) {
        let removed: [Segment] = state.withLock { state in
            state.acknowledged = max(state.acknowledged, min(sequence, durableNow))
            let acknowledged = state.acknowledged
            var removed: [Segment] = []
            for (index, segment) in state.segments.enumerated().dropLast() where segment.isSynced {
                // Where the segment itself does not say where it ends, the next one does.
                let next = state.segments[(index + 1)...].lazy.compactMap(\.firstSequence).first
                guard let last = segment.lastSequence ?? next.map({ $0 - 1 }) else { continue }
                if last <= acknowledged || segment.lastSequence.map({ $0 < (segment.firstSequence ?? 0) }) == true {
                    removed.append(segment)
                }
            }
            state.segments.removeAll { segment in removed.contains { $0 === segment } }
            state.directoryChanged = state.directoryChanged || !removed.isEmpty
            return removed
        }
        for segment in removed { unlink(segment.path) }
        let bytes = removed.reduce(0) { $0 + $1.bytes }
        state.withLock { state in
            state.bytes -= bytes
            state.creationFailed = false
        }
        if !state.withLock({ $0.hasWriter }) { bury() }
    }

    /// Replaces the last, wholly acknowledged segment of a source without a writer by one that holds the next sequence
    /// number and nothing else.
    private func bury() {
        let plan = state.withLock { state -> (ordinal: UInt64, next: UInt64)? in
            guard let last = state.segments.last, let end = last.lastSequence, state.segments.count == 1,
                end <= state.acknowledged, last.bytes > SegmentHeader.size
            else { return nil }
            defer { state.nextOrdinal += 1 }
            return (state.nextOrdinal, end + 1)
        }
        guard let plan else { return }
        let file = "\(path)/\(Segment.fileName(ordinal: plan.ordinal))"
        do throws(SpoolError) {
            let stone = try Segment(creating: file, ordinal: plan.ordinal, bytes: SegmentHeader.size)
            SegmentHeader(source: name, firstSequence: plan.next, createdAt: wallClock())
                .write(to: stone.base!, crc: crc)
            guard msync(stone.base!, stone.bytes, MS_SYNC) == 0, fsync(directory) == 0 else {
                unlink(file)
                return report(.syncFailed(reason: systemReason()), segment: file)
            }
            stone.release()
            stone.firstSequence = plan.next
            stone.lastSequence = plan.next - 1
            stone.isSealed = true
            stone.isSynced = true
            let old = state.withLock { state -> [Segment] in
                defer {
                    state.segments = [stone]
                    state.bytes = SegmentHeader.size
                }
                return state.segments
            }
            for segment in old { unlink(segment.path) }
        } catch {
            report(.segmentNotCreated(reason: error.message), segment: file)
        }
    }

    // MARK: Faults

    /// Keeps the fault until it is taken; the same one is kept once. Bounded: beyond 1,000 only the first are kept.
    func report(_ kind: SpoolFault.Kind, segment: String) {
        let fault = SpoolFault(source: name, segment: segment, kind: kind)
        state.withLock { state in
            guard state.reported.count < 1_000, state.reported.insert(fault).inserted else { return }
            state.faults.append(fault)
        }
    }

    func takeFaults() -> [SpoolFault] {
        state.withLock { state in
            defer { state.faults = [] }
            return state.faults
        }
    }

    /// Of the room that is left beside the writer's segment and the spare one.
    var waitingPart: Double {
        let room = Int(settings.maximumBytesPerWriter.bytes) - 2 * segmentBytes
        guard room > 0 else { return 0 }
        let waiting = state.withLock { state in state.segments.dropLast().reduce(0) { $0 + $1.bytes } }
        return Double(waiting) / Double(room)
    }

    var statistics: SpoolStatistics {
        state.withLock { state in
            SpoolStatistics(
                source: name, bytes: Int64(state.bytes), maximumBytes: settings.maximumBytesPerWriter.bytes,
                appended: published[0].load(ordering: .relaxed), durable: durableNow,
                acknowledged: state.acknowledged, lost: lost.load(ordering: .relaxed))
        }
    }
}
