import CloudModel
import Glibc

/// A spool's segment: whatever lies in it, records come out in order, or damage is told and reading ends.
///
/// The first octet says what the others are: a segment as it lies on the disk (0), a header (1), or the body of a record
/// (2), which is wrapped as the writer does it, since no mutation finds a checksum.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let start, count > 0 else { return 0 }
    let rest = UnsafeRawBufferPointer(start: start + 1, count: count - 1)
    switch start[0] % 3 {
    case 0: readSegment(Array(rest))
    case 1: readHeader(rest)
    default: readBody(rest)
    }
    return 0
}

/// One file for all inputs, which has no name any more.
private let segmentFile: Int32 = {
    var name = Array("/tmp/cloudwright-fuzz-XXXXXX".utf8CString)
    let descriptor = mkstemp(&name)
    precondition(descriptor >= 0, "no temporary file")
    unlink(name)
    return descriptor
}()

private func readSegment(_ records: [UInt8]) {
    guard !records.isEmpty else { return }
    let bytes = [UInt8](repeating: 0, count: SegmentHeader.size) + records
    precondition(ftruncate(segmentFile, 0) == 0 && pwrite(segmentFile, bytes, bytes.count, 0) == bytes.count)
    let path = "/proc/self/fd/\(segmentFile)"
    guard let scanner = try? SegmentScanner(path: path, firstSequence: 1, crc: .shared, chunkBytes: 64) else {
        fatalError("the segment cannot be opened")
    }
    var offset = 0
    var expected: UInt64 = 1
    while true {
        switch scanner.next() {
        case .record(let sequence, let body, let at):
            precondition(sequence == expected && at >= offset && at + body.count <= bytes.count)
            expected += 1
            offset = at + RecordFrame.size(ofBody: body.count)
            _ = SpoolRecord(spoolBody: body)
        case .damaged(let sequence, let at):
            precondition(sequence == expected && at >= offset)
            expected += 1
        case .damagedRest, .end: return
        case .failed(let reason): fatalError(reason)
        }
    }
}

private func readHeader(_ bytes: UnsafeRawBufferPointer) {
    var header = [UInt8](repeating: 0, count: SegmentHeader.size)
    for (index, byte) in bytes.prefix(header.count).enumerated() { header[index] = byte }
    header.withUnsafeBytes { _ = SegmentHeader.read($0, crc: .shared) }
}

/// A body is refused, or is a record that comes out of a segment as it came in.
private func readBody(_ body: UnsafeRawBufferPointer) {
    guard !body.isEmpty, let record = SpoolRecord(spoolBody: body) else { return }
    let frame = UnsafeMutableRawBufferPointer.allocate(
        byteCount: RecordFrame.size(ofBody: body.count), alignment: 8)
    defer { frame.deallocate() }
    frame.initializeMemory(as: UInt8.self, repeating: 0)
    guard let base = frame.baseAddress, let source = body.baseAddress else { return }
    (base + RecordFrame.headSize).copyMemory(from: source, byteCount: body.count)
    RecordFrame.commit(base, bodyBytes: body.count, sequence: 7, crc: .shared)
    guard case .record(let read, _) = RecordFrame.read(UnsafeRawBufferPointer(frame), sequence: 7, crc: .shared) else {
        fatalError("a record that was committed is not there")
    }
    precondition(SpoolRecord(spoolBody: read) == record)
    if case .record = RecordFrame.read(UnsafeRawBufferPointer(frame), sequence: 8, crc: .shared) {
        fatalError("a record passes for another one")
    }
}
