import CloudModel

/// The body of a usage record, fields little-endian:
///
///     0  u8   1               16  u64  request id, high
///     1  u8   outcome         24  u64  request id, low
///     2  u16  status          32  u64  bytes in
///     4  u16  consumer bytes  40  u64  bytes out
///     6  u16  service bytes   48  i64  received at, microseconds
///     8  u16  instance bytes  56  i64  forwarded at
///     10 u16  flags           64  i64  completed at
///     12 u32  0               72       consumer, service, instance in UTF-8
enum UsageBody {
    static let kind: UInt8 = 1
    static let fixedSize = 72
    private static let wasForwarded: UInt16 = 1
    private static let hasInstance: UInt16 = 2

    /// Nil where a name is longer than the form can say (65,535 bytes).
    @inline(__always)
    static func size(of record: borrowing RawUsageRecord) -> Int? {
        let instance = record.instance?.count ?? 0
        guard record.consumer.count <= 0xFFFF, record.service.count <= 0xFFFF, instance <= 0xFFFF else { return nil }
        return fixedSize &+ record.consumer.count &+ record.service.count &+ instance
    }

    @inline(__always)
    static func write(_ record: borrowing RawUsageRecord, to body: UnsafeMutableRawPointer) {
        let instance = record.instance?.count ?? 0
        let flags = (record.forwardedAt != nil ? wasForwarded : 0) | (record.instance != nil ? hasInstance : 0)
        body.storeBytes(of: kind, as: UInt8.self)
        body.storeBytes(of: record.outcome.rawValue, toByteOffset: 1, as: UInt8.self)
        store(record.status, body, 2)
        store(UInt16(truncatingIfNeeded: record.consumer.count), body, 4)
        store(UInt16(truncatingIfNeeded: record.service.count), body, 6)
        store(UInt16(truncatingIfNeeded: instance), body, 8)
        store(flags, body, 10)
        store(UInt32(0), body, 12)
        store(record.requestID.high, body, 16)
        store(record.requestID.low, body, 24)
        store(record.bytesIn, body, 32)
        store(record.bytesOut, body, 40)
        store(record.receivedAt.microseconds, body, 48)
        store(record.forwardedAt?.microseconds ?? 0, body, 56)
        store(record.completedAt.microseconds, body, 64)
        var end = body + fixedSize
        end = append(record.consumer, to: end)
        end = append(record.service, to: end)
        if let instance = record.instance { _ = append(instance, to: end) }
    }

    @inline(__always)
    private static func store<Number: FixedWidthInteger & BitwiseCopyable>(
        _ number: Number, _ body: UnsafeMutableRawPointer, _ offset: Int
    ) {
        body.storeBytes(of: number.littleEndian, toByteOffset: offset, as: Number.self)
    }

    @inline(__always)
    private static func append(_ name: UnsafeRawBufferPointer, to end: UnsafeMutableRawPointer)
        -> UnsafeMutableRawPointer
    {
        if let source = name.baseAddress { end.copyMemory(from: source, byteCount: name.count) }
        return end + name.count
    }

    static func read(_ body: UnsafeRawBufferPointer) -> UsageRecord? {
        guard body.count >= fixedSize, body[0] == kind, let outcome = RequestOutcome(rawValue: body[1]) else {
            return nil
        }
        let service = fixedSize + Int(load(UInt16.self, body, 4))
        let instance = service + Int(load(UInt16.self, body, 6))
        guard body.count == instance + Int(load(UInt16.self, body, 8)) else { return nil }
        let flags = load(UInt16.self, body, 10)
        return UsageRecord(
            requestID: RequestID(high: load(UInt64.self, body, 16), low: load(UInt64.self, body, 24)),
            consumer: ConsumerID(text(body, fixedSize..<service)), service: ServiceID(text(body, service..<instance)),
            instance: flags & hasInstance != 0 ? InstanceID(text(body, instance..<body.count)) : nil,
            outcome: outcome, status: load(UInt16.self, body, 2), bytesIn: load(UInt64.self, body, 32),
            bytesOut: load(UInt64.self, body, 40), receivedAt: Timestamp(microseconds: load(Int64.self, body, 48)),
            forwardedAt: flags & wasForwarded != 0 ? Timestamp(microseconds: load(Int64.self, body, 56)) : nil,
            completedAt: Timestamp(microseconds: load(Int64.self, body, 64)))
    }

    @inline(__always)
    private static func load<Number: FixedWidthInteger & BitwiseCopyable>(
        _: Number.Type, _ body: UnsafeRawBufferPointer, _ offset: Int
    ) -> Number {
        Number(littleEndian: body.loadUnaligned(fromByteOffset: offset, as: Number.self))
    }

    @inline(__always)
    private static func text(_ body: UnsafeRawBufferPointer, _ range: Range<Int>) -> String {
        String(decoding: UnsafeRawBufferPointer(rebasing: body[range]), as: UTF8.self)
    }
}

/// The body of a `.lost` record: u8 3, 7 bytes 0, u64 count, i64 since, i64 until.
enum LostBody {
    static let kind: UInt8 = 3
    static let size = 32

    static func write(count: UInt64, since: Timestamp, until: Timestamp, to body: UnsafeMutableRawPointer) {
        body.storeBytes(of: UInt64(kind).littleEndian, as: UInt64.self)
        body.storeBytes(of: count.littleEndian, toByteOffset: 8, as: UInt64.self)
        body.storeBytes(of: since.microseconds.littleEndian, toByteOffset: 16, as: Int64.self)
        body.storeBytes(of: until.microseconds.littleEndian, toByteOffset: 24, as: Int64.self)
    }

    static func read(_ body: UnsafeRawBufferPointer) -> SpoolRecord? {
        var scanner = BodyScanner(body)
        guard scanner.number(UInt64.self) == UInt64(kind), let count = scanner.number(UInt64.self),
            let since = scanner.number(Int64.self), let until = scanner.number(Int64.self), scanner.isAtEnd
        else { return nil }
        return .lost(
            count: count, since: Timestamp(microseconds: since), until: Timestamp(microseconds: until))
    }
}

/// The body of an audit event: u8 2; then in order request id (u64, u64), status (u16), received at (i64), responded at
/// (i64), forwarded at (u8 1 and i64, or u8 0), and the texts: each u32 length + 1 and its UTF-8, or u32 0 for none.
/// Enumerations are written as the texts that they are configured and shown by.
enum AuditBody {
    static let kind: UInt8 = 2

    static func bytes(_ event: AuditEvent) -> [UInt8] {
        var body = BodyBuilder()
        body.append(kind)
        body.append(event.requestID.high)
        body.append(event.requestID.low)
        body.append(event.status)
        body.append(event.receivedAt.microseconds)
        body.append(event.respondedAt.microseconds)
        body.append(UInt8(event.forwardedAt == nil ? 0 : 1))
        if let forwardedAt = event.forwardedAt { body.append(forwardedAt.microseconds) }
        body.append(event.observer)
        body.append(event.service.rawValue)
        body.append(event.consumer?.rawValue)
        body.append(event.principal)
        body.append(event.credentialKind.rawValue)
        body.append(event.credentialTag)
        body.append(event.sourceAddress)
        body.append(event.userAgent)
        body.append(event.method)
        body.append(event.path)
        body.append(event.outcome.rawValue)
        body.append(event.reason)
        return body.bytes
    }

    static func read(_ body: UnsafeRawBufferPointer) -> AuditEvent? {
        var scanner = BodyScanner(body)
        guard scanner.number(UInt8.self) == kind, let high = scanner.number(UInt64.self),
            let low = scanner.number(UInt64.self), let status = scanner.number(UInt16.self),
            let receivedAt = scanner.number(Int64.self), let respondedAt = scanner.number(Int64.self),
            let forwarded = scanner.number(UInt8.self)
        else { return nil }
        var forwardedAt: Timestamp?
        if forwarded != 0 {
            guard let microseconds = scanner.number(Int64.self) else { return nil }
            forwardedAt = Timestamp(microseconds: microseconds)
        }
        guard case let observer?? = scanner.optionalText(), case let service?? = scanner.optionalText(),
            let consumer = scanner.optionalText(), case let principal?? = scanner.optionalText(),
            case let kindText?? = scanner.optionalText(),
            let credentialKind = AuditEvent.CredentialKind(rawValue: kindText),
            let credentialTag = scanner.optionalText(), case let sourceAddress?? = scanner.optionalText(),
            case let userAgent?? = scanner.optionalText(), case let method?? = scanner.optionalText(),
            case let path?? = scanner.optionalText(), case let outcomeText?? = scanner.optionalText(),
            let outcome = AuditEvent.Outcome(rawValue: outcomeText), case let reason?? = scanner.optionalText(),
            scanner.isAtEnd
        else { return nil }
        return AuditEvent(
            requestID: RequestID(high: high, low: low), observer: observer, service: ServiceID(service),
            consumer: consumer.map { ConsumerID($0) }, principal: principal, credentialKind: credentialKind,
            credentialTag: credentialTag, sourceAddress: sourceAddress, userAgent: userAgent, method: method,
            path: path, outcome: outcome, reason: reason, status: status,
            receivedAt: Timestamp(microseconds: receivedAt), forwardedAt: forwardedAt,
            respondedAt: Timestamp(microseconds: respondedAt))
    }
}

extension SpoolRecord {
    /// Reads a body of any kind; nil where it is none that this version knows.
    init?(spoolBody body: UnsafeRawBufferPointer) {
        switch body.first {
        case UsageBody.kind:
            guard let record = UsageBody.read(body) else { return nil }
            self = .usage(record)
        case AuditBody.kind:
            guard let event = AuditBody.read(body) else { return nil }
            self = .audit(event)
        case LostBody.kind:
            guard let lost = LostBody.read(body) else { return nil }
            self = lost
        default: return nil
        }
    }
}

/// Puts a body together off the hot path.
private struct BodyBuilder {
    private(set) var bytes: [UInt8] = []

    mutating func append<Number: FixedWidthInteger>(_ number: Number) {
        withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func append(_ text: String?) {
        guard let text else { return append(UInt32(0)) }
        append(UInt32(text.utf8.count + 1))
        bytes.append(contentsOf: text.utf8)
    }
}

/// Takes a body apart; every step checks that the body has the bytes.
private struct BodyScanner {
    private let body: UnsafeRawBufferPointer
    private var position = 0

    init(_ body: UnsafeRawBufferPointer) { self.body = body }

    var isAtEnd: Bool { position == body.count }

    mutating func number<Number: FixedWidthInteger & BitwiseCopyable>(_: Number.Type) -> Number? {
        let size = MemoryLayout<Number>.size
        guard body.count - position >= size else { return nil }
        defer { position += size }
        return Number(littleEndian: body.loadUnaligned(fromByteOffset: position, as: Number.self))
    }

    mutating func text(_ count: Int) -> String? {
        guard count >= 0, body.count - position >= count else { return nil }
        defer { position += count }
        return String(decoding: body[position..<position + count], as: UTF8.self)
    }

    /// Outer nil: the body is malformed; inner nil: the text is absent.
    mutating func optionalText() -> String?? {
        guard let count = number(UInt32.self) else { return nil }
        guard count > 0 else { return .some(nil) }
        guard let text = text(Int(count) - 1) else { return nil }
        return .some(text)
    }
}
