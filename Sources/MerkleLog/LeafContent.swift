public import CloudModel
import Crypto

/// The bytes of a record that its leaf is the hash of: every field, in a fixed order, in one form.
///
/// Numbers have eight octets, big endian; text its length and its UTF-8; what may be absent a leading 0 or 1. The first
/// octet is the kind of record and the second the version of the form, so that no record can be read as another.
public struct LeafContent: Sendable {
    public private(set) var bytes: [UInt8]

    private init(kind: UInt8, version: UInt8 = 1) {
        bytes = []
        bytes.reserveCapacity(256)
        bytes.append(kind)
        bytes.append(version)
    }

    /// `position` is the event's place in the audit log.
    ///
    /// In the second form a commitment stands for the personal data, so that the leaf stays the same when it is erased.
    public init(_ event: AuditEvent, position: Int64, personal: PersonalDataBinding) {
        let commitment: String?
        switch personal {
        case .direct: commitment = nil
        case .salted(let salt): commitment = Self.commitment(to: event, salt: salt)
        case .erased(let stored): commitment = stored
        }
        self.init(kind: 1, version: commitment == nil ? 1 : 2)
        put(position)
        put(event.requestID)
        put(event.observer)
        put(event.service.rawValue)
        put(event.consumer?.rawValue)
        if let commitment { put(commitment) } else { put(event.principal) }
        put(event.credentialKind.rawValue)
        if commitment == nil {
            put(event.credentialTag)
            put(event.sourceAddress)
            put(event.userAgent)
        }
        put(event.method)
        if commitment == nil { put(event.path) }
        put(event.outcome.rawValue)
        put(event.reason)
        put(Int64(event.status))
        put(event.receivedAt.microseconds)
        put(event.forwardedAt?.microseconds)
        put(event.respondedAt.microseconds)
    }

    /// Binds to the personal data of a login without telling of it: HMAC-SHA256 (RFC 2104) of it under the login's own
    /// salt, as 64 hex digits. Hiding as long as the salt is unknown, binding as SHA-256 is.
    public static func commitment(to event: AuditEvent, salt: String) -> String {
        var content = LeafContent(kind: 1, version: 2)
        content.put(event.requestID)
        content.put(event.principal)
        content.put(event.credentialTag)
        content.put(event.sourceAddress)
        content.put(event.userAgent)
        content.put(event.path)
        let tag = HMAC<SHA256>.authenticationCode(for: content.bytes, using: SymmetricKey(data: Array(salt.utf8)))
        return tag.map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }.joined()
    }

    /// `sequence` is the record's number at its source.
    public init(_ record: UsageRecord, source: String, sequence: UInt64) {
        self.init(kind: 2)
        put(source)
        put(Int64(bitPattern: sequence))
        put(record.requestID)
        put(record.consumer.rawValue)
        put(record.service.rawValue)
        put(record.instance?.rawValue)
        put(Int64(record.outcome.rawValue))
        put(Int64(record.status))
        put(Int64(bitPattern: record.bytesIn))
        put(Int64(bitPattern: record.bytesOut))
        put(record.receivedAt.microseconds)
        put(record.forwardedAt?.microseconds)
        put(record.completedAt.microseconds)
    }

    public init(_ event: PlatformEvent) {
        self.init(kind: 3)
        put(event.position)
        put(event.at.microseconds)
        put(event.kind)
        put(event.service?.rawValue)
        put(event.instance?.rawValue)
        put(event.consumer?.rawValue)
        put(event.actor)
        put(event.step?.mechanism.rawValue)
        put(event.step?.incident)
        put(event.step?.number)
        put(event.summary)
        put(Int64(event.details.count))
        for (name, value) in event.details.sorted(by: { $0.key < $1.key }) {
            put(name)
            put(value)
        }
    }

    /// `position` is the event's place in the books.
    public init(_ event: LifecycleEvent, position: Int64) {
        self.init(kind: 4)
        put(position)
        put(event.instance.rawValue)
        put(Int64(event.incarnation))
        put(event.service.rawValue)
        put(event.owner?.rawValue)
        put(event.kind.rawValue)
        put(event.at.microseconds)
        put(event.resources.cpuMillicores.map(Int64.init))
        put(event.resources.memory?.bytes)
        put(Int64(event.inferred ? 1 : 0))
    }

    /// `position` is the event's place in the books.
    public init(_ event: UsageEvent, position: Int64) {
        self.init(kind: 5)
        put(position)
        put(event.source)
        put(event.id)
        put(event.type)
        put(event.consumer.rawValue)
        put(event.service.rawValue)
        put(event.meter)
        put(event.microUnits)
        put(event.at.microseconds)
    }

    public var hash: MerkleHash { .leaf(bytes) }

    // MARK: Fields

    private mutating func put(_ value: Int64) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }

    private mutating func put(_ text: String) {
        put(Int64(text.utf8.count))
        bytes += text.utf8
    }

    private mutating func put(_ id: RequestID) {
        put(Int64(bitPattern: id.high))
        put(Int64(bitPattern: id.low))
    }

    private mutating func put(_ value: Int64?) {
        bytes.append(value == nil ? 0 : 1)
        if let value { put(value) }
    }

    private mutating func put(_ text: String?) {
        bytes.append(text == nil ? 0 : 1)
        if let text { put(text) }
    }
}
