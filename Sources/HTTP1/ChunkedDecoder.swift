/// What a body's reader came to.
@frozen
public enum BodyEvent: Hashable, Sendable {
    /// All octets were read; the message goes on.
    case needsMore
    /// This range of the buffer is payload.
    case payload(start: Int, count: Int)
    /// The message ended before the offset; what follows belongs to the next.
    case complete
    case malformed(MessageFault)
}

/// Follows a chunked body (RFC 9112 section 7.1) through the buffers it arrives in, keeping no octets. It says where
/// payload lies, so that it can be framed anew, and where the message ends; octets that were accepted may also be
/// passed on as they are, since only the one strict reading of them is accepted.
public struct ChunkedDecoder: Sendable {
    /// Most octets of chunk extensions, over the whole body. They are allowed and ignored; nobody needs them, and
    /// without a bound they carry any amount of unmetered data.
    public static let extensionLimit = 4096
    /// Most octets of the trailer section.
    public static let trailerLimit = 8192

    /// Octets of payload so far.
    public private(set) var payloadCount: UInt64 = 0
    public private(set) var isComplete = false

    private enum State: UInt8 {
        case sizeStart, size, sizeWhitespace
        case extensionName, extensionNameStart, extensionValueStart, extensionValue
        case quoted, quotedPair, afterQuoted, sizeLineFeed
        case data, dataCarriageReturn, dataLineFeed
        case trailerStart, trailerName, trailerValue, trailerLineFeed, lastLineFeed
        case complete, failed
    }

    private var state = State.sizeStart
    private var fault = MessageFault.invalidChunkSize
    /// While `size` is read: the number so far; then what is left of the chunk.
    private var remaining: UInt64 = 0
    private var digitCount = 0
    private var extensionCount = 0
    private var trailerCount = 0
    private var trailerName = TrailerName()

    public init() {}

    /// Reads `buffer` from `offset` on as far as the next event, and moves `offset` behind what was read.
    public mutating func next(in buffer: UnsafeRawBufferPointer, from offset: inout Int) -> BodyEvent {
        let octets = Octets(buffer)
        while offset < octets.count {
            if state == .data {
                let start = offset
                let count = Int(truncatingIfNeeded: min(remaining, UInt64(octets.count &- start)))
                offset &+= count
                remaining &-= UInt64(count)
                payloadCount &+= UInt64(count)
                if remaining == 0 { state = .dataCarriageReturn }
                return .payload(start: start, count: count)
            }
            if state == .complete { return .complete }
            if state == .failed { return .malformed(fault) }
            if let found = step(octets[offset]) {
                state = .failed
                fault = found
                return .malformed(found)
            }
            offset &+= 1
            if state == .complete {
                isComplete = true
                return .complete
            }
        }
        return state == .complete ? .complete : state == .failed ? .malformed(fault) : .needsMore
    }

    /// Takes one octet of framing.
    private mutating func step(_ octet: UInt8) -> MessageFault? {
        switch state {
        case .sizeStart, .size, .sizeWhitespace: stepSize(octet)
        case .extensionNameStart, .extensionName, .extensionValueStart, .extensionValue, .quoted, .quotedPair,
            .afterQuoted:
            stepExtension(octet)
        case .sizeLineFeed:
            expect(octet, .lineFeed, then: remaining == 0 ? .trailerStart : .data)
        case .dataCarriageReturn: expect(octet, .carriageReturn, then: .dataLineFeed)
        case .dataLineFeed: expect(octet, .lineFeed, then: .sizeStart)
        case .trailerStart, .trailerName, .trailerValue, .trailerLineFeed: stepTrailer(octet)
        case .lastLineFeed: expect(octet, .lineFeed, then: .complete)
        case .data, .complete, .failed: nil
        }
    }

    private mutating func expect(_ octet: UInt8, _ wanted: UInt8, then next: State) -> MessageFault? {
        guard octet == wanted else { return .missingChunkLineEnd }
        if next == .sizeStart { digitCount = 0 }
        state = next
        return nil
    }

    private mutating func stepSize(_ octet: UInt8) -> MessageFault? {
        if state != .sizeWhitespace, let digit = octet.hexadecimalValue {
            // Sixty bits at most, so that offsets and totals can be added up without overflow; leading zeros count, or
            // a size could be any number of octets long.
            digitCount &+= 1
            guard digitCount <= 15 else { return .chunkSizeTooLarge }
            remaining = remaining << 4 | UInt64(digit)
            state = .size
            return nil
        }
        guard state != .sizeStart else { return .invalidChunkSize }
        return endSize(octet) ?? (octet == .carriageReturn ? nil : countExtension())
    }

    /// What may follow a size or an extension: the line's end, another extension, or white space before one.
    private mutating func endSize(_ octet: UInt8) -> MessageFault? {
        switch octet {
        case .carriageReturn where state != .sizeWhitespace: state = .sizeLineFeed
        case UInt8(ascii: ";"): state = .extensionNameStart
        case .space, .tab: state = .sizeWhitespace
        default: return state == .size ? .invalidChunkSize : .invalidChunkExtension
        }
        return nil
    }

    private mutating func countExtension() -> MessageFault? {
        extensionCount &+= 1
        return extensionCount > Self.extensionLimit ? .chunkExtensionsTooLong : nil
    }

    /// `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`, white space inside being refused: no one
    /// sends it, and servers differ in where they look for it.
    private mutating func stepExtension(_ octet: UInt8) -> MessageFault? {
        if let fault = countExtension() { return fault }
        switch state {
        case .extensionNameStart:
            guard OctetSet.token.contains(octet) else { return .invalidChunkExtension }
            state = .extensionName
        case .extensionName:
            if OctetSet.token.contains(octet) { return nil }
            if octet == UInt8(ascii: "=") {
                state = .extensionValueStart
                return nil
            }
            return endSize(octet)
        case .extensionValueStart:
            guard octet == UInt8(ascii: "\"") || OctetSet.token.contains(octet) else { return .invalidChunkExtension }
            state = octet == UInt8(ascii: "\"") ? .quoted : .extensionValue
        case .extensionValue:
            if OctetSet.token.contains(octet) { return nil }
            return endSize(octet)
        case .quoted:
            if octet == UInt8(ascii: "\\") { state = .quotedPair }
            if octet == UInt8(ascii: "\"") { state = .afterQuoted }
            return Self.isText(octet) ? nil : .invalidChunkExtension
        case .quotedPair:
            state = .quoted
            return Self.isText(octet) ? nil : .invalidChunkExtension
        default:
            return endSize(octet)
        }
        return nil
    }

    private static func isText(_ octet: UInt8) -> Bool { octet >= 0x20 && octet != 0x7F || octet == .tab }

    private mutating func stepTrailer(_ octet: UInt8) -> MessageFault? {
        trailerCount &+= 1
        guard trailerCount <= Self.trailerLimit else { return .trailersTooLarge }
        switch state {
        case .trailerStart:
            if octet == .carriageReturn {
                state = .lastLineFeed
                return nil
            }
            if octet == .lineFeed { return .bareLineFeed }
            if octet.isWhitespace { return .lineFolding }
            guard OctetSet.token.contains(octet) else {
                return octet == UInt8(ascii: ":") ? .emptyFieldName : .invalidFieldName
            }
            trailerName = TrailerName()
            trailerName.append(octet)
            state = .trailerName
        case .trailerName:
            if octet == UInt8(ascii: ":") {
                state = .trailerValue
                return trailerName.isForbidden ? .forbiddenTrailer : nil
            }
            guard OctetSet.token.contains(octet) else {
                if octet == .carriageReturn || octet == .lineFeed { return .missingColon }
                return octet.isWhitespace ? .whitespaceBeforeColon : .invalidFieldName
            }
            trailerName.append(octet)
        case .trailerValue:
            if octet == .carriageReturn {
                state = .trailerLineFeed
            } else if !Self.isText(octet) {
                return octet == .lineFeed ? .bareLineFeed : .controlInValue
            }
        default:
            guard octet == .lineFeed else { return .bareCarriageReturn }
            state = .trailerStart
        }
        return nil
    }
}

/// The name of a trailer field as far as it matters: the last 24 octets in lower case and the length.
private struct TrailerName: Sendable {
    private var words: (UInt64, UInt64, UInt64) = (0, 0, 0)
    private var length = 0

    mutating func append(_ octet: UInt8) {
        words.0 = words.0 << 8 | words.1 >> 56
        words.1 = words.1 << 8 | words.2 >> 56
        words.2 = words.2 << 8 | UInt64(octet.asciiLowercased)
        length += 1
    }

    private func equals(_ name: StaticString) -> Bool {
        guard name.utf8CodeUnitCount == length else { return false }
        var other = TrailerName()
        for index in 0..<length { other.append(name.utf8Start[index]) }
        return other.words == words
    }

    /// Fields that decide about framing, routing or credentials must not come late (RFC 9110 section 6.5.1).
    var isForbidden: Bool {
        switch length {
        case 2: equals("te")
        case 4: equals("host")
        case 6: equals("expect") || equals("cookie")
        case 7: equals("upgrade") || equals("trailer")
        case 9: equals("x-api-key") || equals("forwarded")
        case 10: equals("connection") || equals("keep-alive") || equals("set-cookie")
        case 12: equals("content-type")
        case 13: equals("authorization") || equals("content-range")
        case 14: equals("content-length")
        case 15: equals("x-forwarded-for")
        case 16: equals("content-encoding") || equals("proxy-connection") || equals("x-forwarded-host")
        case 17: equals("transfer-encoding") || equals("x-forwarded-proto")
        case 19: equals("proxy-authorization")
        default: false
        }
    }
}
