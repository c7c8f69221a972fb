import CloudModel
import Glibc
import Spool
import Testing

/// A directory of its own for one test, removed with everything in it at the end.
final class ScratchDirectory: Sendable {
    let path: String

    init() {
        var template = Array("/tmp/cloudwright-spool-XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
    }

    deinit { Self.remove(path) }

    var spool: String { path + "/spool" }

    /// Paths of the segment files of a source, in order.
    func segments(of source: String) -> [String] {
        let directory = spool + "/source-" + source.replacing("/", with: "%2F")
        return Self.entries(directory).filter { $0.hasSuffix(".segment") }.map { "\(directory)/\($0)" }
    }

    static func entries(_ directory: String) -> [String] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    private static func remove(_ path: String) {
        for name in entries(path) { remove("\(path)/\(name)") }
        if rmdir(path) != 0 { unlink(path) }
    }
}

func contents(of path: String) -> [UInt8] {
    let file = open(path, O_RDONLY)
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: Int(lseek(file, 0, SEEK_END)))
    #expect(pread(file, &bytes, bytes.count, 0) == bytes.count)
    return bytes
}

func overwrite(_ path: String, with bytes: [UInt8]) {
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    defer { close(file) }
    #expect(write(file, bytes, bytes.count) == bytes.count)
}

func usage(
    _ number: UInt64, consumer: String = "acme", service: String = "shop", instance: String? = "shop-1",
    forwarded: Bool = true
) -> SpoolRecord {
    let start = Timestamp(microseconds: 1_800_000_000_000_000 + Int64(number))
    return .usage(
        UsageRecord(
            requestID: RequestID(high: 7, low: number), consumer: ConsumerID(consumer), service: ServiceID(service),
            instance: instance.map { InstanceID($0) }, outcome: .completed, status: 200, bytesIn: number,
            bytesOut: number &* 3, receivedAt: start, forwardedAt: forwarded ? start + .microseconds(5) : nil,
            completedAt: start + .milliseconds(2)))
}

func audit(_ number: UInt64, principal: String = "ann", consumer: String? = "acme", tag: String? = "hmac-sha256:0a")
    -> AuditEvent
{
    AuditEvent(
        requestID: RequestID(high: 9, low: number), observer: "gateway-1", service: "shop",
        consumer: consumer.map { ConsumerID($0) }, principal: principal, credentialKind: .basic, credentialTag: tag,
        sourceAddress: "2001:db8::1", userAgent: "curl/8", method: "POST", path: "/login", outcome: .failure,
        reason: "bad-credential", status: 401, receivedAt: Timestamp(microseconds: 10),
        forwardedAt: tag == nil ? nil : Timestamp(microseconds: 11), respondedAt: Timestamp(microseconds: 12))
}

extension SpoolDirectory {
    /// Everything after `after` that can be read now, by number.
    func drain(_ source: String, after: UInt64 = 0, limit: Int = 1_000) throws -> [UInt64: SpoolRecord] {
        synchronise()
        let reader = makeReader()
        var found: [UInt64: SpoolRecord] = [:]
        var position = after
        while let batch = try reader.nextBatch(of: source, after: position, limit: limit) {
            for (index, record) in batch.records.enumerated() {
                found[batch.firstSequence + UInt64(index)] = record
            }
            position = batch.firstSequence + UInt64(batch.records.count) - 1
        }
        return found
    }
}

let smallSegments = SpoolSettings(
    segmentSize: .kibibytes(8), maximumBytesPerWriter: .kibibytes(64), syncInterval: .milliseconds(1))
