public import CloudModel
import Synchronization

/// Takes the records of all sources out of the spool, in order and in batches, while they are written.
///
/// Only records that are safe against a power loss are given out: what the log database has seen can never be missing
/// from the spool, or be numbered anew.
public final class SpoolReader: Sendable {
    private let directory: SpoolDirectory
    private let cursors: Mutex<[String: Cursor]>

    /// A place in one source. Lives inside the reader's lock.
    private final class Cursor {
        var segment: Segment
        var scanner: SegmentScanner
        /// The number after which the caller last asked; the cursor stands at the first record beyond.
        var after: UInt64
        /// The segment has been read to its end.
        var isAtEnd = false

        init(segment: Segment, scanner: SegmentScanner, after: UInt64) {
            self.segment = segment
            self.scanner = scanner
            self.after = after
        }
    }

    init(_ directory: SpoolDirectory) {
        self.directory = directory
        cursors = Mutex([:])
    }

    /// The sources that have segments, sorted.
    public var sources: [String] { directory.sources }

    /// The records that follow number `after`, at most `limit` of them and about `maximumBytes` of spool; nil where
    /// there are none yet. A batch never spans a gap: one that begins beyond `after + 1` shows that numbers are gone.
    ///
    /// - Parameter after: the log database's high-water mark of the source, 0 where it knows none.
    public func nextBatch(
        of source: String, after: UInt64, limit: Int = 8_000, maximumBytes: Int = 4 << 20
    ) throws(SpoolError) -> SpoolBatch? {
        guard let spool = directory.existingSource(source), limit > 0 else { return nil }
        let outcome = cursors.withLock { cursors -> Result<SpoolBatch?, SpoolError> in
            do throws(SpoolError) {
                guard let cursor = try position(in: spool, after: after, kept: cursors[source]) else {
                    return .success(nil)
                }
                cursors[source] = cursor
                let batch = try read(
                    spool, cursor: cursor, after: after, limit: limit, maximumBytes: maximumBytes)
                if let batch { cursor.after = batch.firstSequence + UInt64(batch.records.count) - 1 }
                return .success(batch)
            } catch {
                cursors[source] = nil
                return .failure(error)
            }
        }
        return try outcome.get()
    }

    /// Says that the log database has the records up to this number; segments that hold no others are deleted.
    public func acknowledge(source: String, upTo sequence: UInt64) {
        directory.existingSource(source)?.acknowledge(upTo: sequence)
    }

    // MARK: Reading

    private func position(in spool: SpoolSource, after: UInt64, kept: Cursor?) throws(SpoolError) -> Cursor? {
        if let kept, kept.after == after {
            kept.scanner.refresh()
            return kept
        }
        let segments = spool.readableSegments
        let start = segments.last { $0.first <= after &+ 1 } ?? segments.first
        guard let start else { return nil }
        return Cursor(segment: start.segment, scanner: try scanner(of: start, in: spool), after: after)
    }

    private func scanner(of start: SpoolSource.Readable, in spool: SpoolSource) throws(SpoolError) -> SegmentScanner {
        try SegmentScanner(path: start.segment.path, firstSequence: start.first, crc: spool.crc)
    }

    private func read(
        _ spool: SpoolSource, cursor: Cursor, after: UInt64, limit: Int, maximumBytes: Int
    ) throws(SpoolError) -> SpoolBatch? {
        let visible = spool.durable.load(ordering: .acquiring)
        var first: UInt64 = 0
        var bytes = 0
        var records: [SpoolRecord] = []
        while records.count < limit, bytes < maximumBytes {
            if cursor.isAtEnd {
                guard try advance(cursor, in: spool) else { break }
            }
            guard cursor.scanner.nextSequence <= visible else { break }
            if !records.isEmpty, cursor.scanner.nextSequence != first + UInt64(records.count) { break }
            let step = cursor.scanner.next()
            guard case .record(let sequence, let body, let offset) = step else {
                try settle(step, cursor: cursor, in: spool)
                continue
            }
            guard sequence > after else { continue }
            guard let record = SpoolRecord(spoolBody: body) else {
                spool.report(.unknownRecord(sequence: sequence, offset: offset), segment: cursor.segment.path)
                continue
            }
            if records.isEmpty { first = sequence }
            records.append(record)
            bytes += body.count
        }
        guard !records.isEmpty else { return nil }
        return SpoolBatch(source: spool.name, firstSequence: first, records: records)
    }

    /// What is not a record: damage is reported, an end is noted.
    private func settle(_ step: SegmentScanner.Step, cursor: Cursor, in spool: SpoolSource) throws(SpoolError) {
        let path = cursor.segment.path
        switch step {
        case .record: break
        case .damaged(let sequence, let offset):
            spool.report(.damagedRecord(sequence: sequence, offset: offset), segment: path)
        case .damagedRest(let sequence, let offset):
            spool.report(.damagedRest(fromSequence: sequence, offset: offset), segment: path)
            cursor.isAtEnd = true
        case .end:
            cursor.isAtEnd = true
        case .failed(let reason):
            spool.report(.readFailed(reason: reason), segment: path)
            throw SpoolError(.io, "cannot read \(path): \(reason)")
        }
    }

    /// Goes to the next segment, where there is one; notes where the last one ended.
    private func advance(_ cursor: Cursor, in spool: SpoolSource) throws(SpoolError) -> Bool {
        let read = cursor.scanner.nextSequence - 1
        let next = spool.state.withLock { state -> SpoolSource.Readable? in
            let index = state.segments.firstIndex { $0.ordinal > cursor.segment.ordinal && $0.firstSequence != nil }
            let next = index.map {
                SpoolSource.Readable(segment: state.segments[$0], state.segments[$0].firstSequence!)
            }
            if cursor.segment.isSealed, cursor.segment.lastSequence == nil { cursor.segment.lastSequence = read }
            return next
        }
        guard let next else { return false }
        if next.first > read + 1 {
            spool.report(.missing(from: read + 1, to: next.first - 1), segment: next.segment.path)
        }
        cursor.scanner = try scanner(of: next, in: spool)
        cursor.segment = next.segment
        cursor.isAtEnd = false
        return true
    }
}

extension SpoolSource {
    struct Readable: @unchecked Sendable {
        var segment: Segment
        var first: UInt64

        init(segment: Segment, _ first: UInt64) {
            self.segment = segment
            self.first = first
        }
    }

    /// Those whose header can be read, in order.
    var readableSegments: [Readable] {
        state.withLock { state in
            state.segments.compactMap { segment in segment.firstSequence.map { Readable(segment: segment, $0) } }
        }
    }
}
