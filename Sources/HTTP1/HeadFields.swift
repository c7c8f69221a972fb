/// One field line of a head: `name ":" OWS value OWS CRLF`.
@frozen
public struct FieldLine: Hashable, Sendable {
    /// The name as it was written; for a response, without white space before the colon.
    public var name: OctetRange
    /// The value without white space around it; empty if there is none.
    public var value: OctetRange
    public var known: FieldName
    /// Named by the Connection field: it concerns one connection only and is not passed on.
    public var isConnectionListed: Bool

    @inlinable
    public init(name: OctetRange, value: OctetRange, known: FieldName, isConnectionListed: Bool = false) {
        self.name = name
        self.value = value
        self.known = known
        self.isConnectionListed = isConnectionListed
    }
}

/// The field lines of one head in memory that is allocated once and reused, and what they say about the connection
/// and the body.
public struct HeadFields: ~Copyable {
    @usableFromInline let lines: UnsafeMutablePointer<FieldLine>
    @usableFromInline let capacity: Int
    /// Number of field lines.
    public internal(set) var count = 0
    /// Names that occurred, and those that occurred more than once, one bit each.
    @usableFromInline var present: UInt64 = 0
    @usableFromInline var repeated: UInt64 = 0

    var contentLength: UInt64 = 0
    var hasContentLength = false
    var codings = TransferCodings()
    var connection = ConnectionOptions()
    /// A name was followed by white space (responses only), so the lines cannot be copied as they are.
    private var hasSpaceBeforeColon = false

    init(capacity: Int) {
        self.capacity = capacity
        lines = UnsafeMutablePointer<FieldLine>.allocate(capacity: capacity)
    }

    deinit { lines.deallocate() }

    mutating func removeAll() {
        count = 0
        present = 0
        repeated = 0
        contentLength = 0
        hasContentLength = false
        codings = TransferCodings()
        connection = ConnectionOptions()
        hasSpaceBeforeColon = false
    }

    @inlinable
    public subscript(index: Int) -> FieldLine {
        precondition(UInt(bitPattern: index) < UInt(bitPattern: count), "no such field line")
        return lines[index]
    }

    /// Whether a field of this known name came.
    @inlinable
    public func contains(_ name: FieldName) -> Bool { present & name.bit != 0 }

    /// Whether more than one field of this known name came. Credentials that came twice belong to nobody.
    @inlinable
    public func isRepeated(_ name: FieldName) -> Bool { repeated & name.bit != 0 }

    /// The value of the first field of this known name.
    @inlinable
    public func firstValue(_ name: FieldName) -> OctetRange? {
        guard contains(name) else { return nil }
        for index in 0..<count where lines[index].known == name { return lines[index].value }
        return nil
    }

    /// The value of the first field whose name is this, upper and lower case being equal. `name` is lower-case.
    public func firstValue(named name: StaticString, in buffer: UnsafeRawBufferPointer) -> OctetRange? {
        let octets = Octets(buffer)
        for index in 0..<count {
            let range = lines[index].name
            if octets.matches(name, from: range.lowerBound, to: range.upperBound) { return lines[index].value }
        }
        return nil
    }

    /// The same for a name that is known at run time only; `name` is lower-case ASCII.
    public func firstValue(named name: UnsafeRawBufferPointer, in buffer: UnsafeRawBufferPointer) -> OctetRange? {
        for index in 0..<count where lines[index].name.count == name.count {
            let candidate = lines[index].name.octets(in: buffer)
            var offset = 0
            while offset < name.count, candidate[offset].asciiLowercased == name[offset] { offset += 1 }
            if offset == name.count { return lines[index].value }
        }
        return nil
    }
}

/// The memory belongs to one value only, so it may move between threads with it.
extension HeadFields: @unchecked Sendable {}

/// What the parser of field lines came to.
enum LinesOutcome {
    case incomplete
    /// The empty line was read; the head ends before this offset.
    case complete(Int)
    case malformed(MessageFault)
}

extension HeadFields {
    /// Reads field lines from `cursor`, the start of a line, as far as `end`. On return `cursor` is the start of the
    /// first line that was not complete.
    mutating func parseLines(
        _ octets: Octets, cursor: inout Int, end: Int, allowsSpaceBeforeColon: Bool
    ) -> LinesOutcome {
        while cursor < end {
            let first = octets[cursor]
            if first == .carriageReturn {
                guard cursor &+ 1 < end else { return .incomplete }
                guard octets[cursor &+ 1] == .lineFeed else { return .malformed(.bareCarriageReturn) }
                return .complete(cursor &+ 2)
            }
            if first == .lineFeed { return .malformed(.bareLineFeed) }
            if first.isWhitespace { return .malformed(.lineFolding) }

            let colon = octets.firstIndex(of: UInt8(ascii: ":"), from: cursor, to: end)
            var nameEnd = colon
            if allowsSpaceBeforeColon {
                while nameEnd > cursor, octets[nameEnd &- 1].isWhitespace { nameEnd &-= 1 }
            }
            if nameEnd < colon { hasSpaceBeforeColon = true }
            var known = colon < end ? FieldName(octets, from: cursor, to: nameEnd) : .other
            if known == .other {
                let invalid = octets.firstOutsideToken(from: cursor, to: nameEnd)
                if invalid < nameEnd { return .malformed(Self.nameFault(octets[invalid], at: invalid &- cursor)) }
                guard colon < end else { return .incomplete }
                guard nameEnd > cursor else { return .malformed(.emptyFieldName) }
                if FieldName.isDisguised(octets, from: cursor, to: nameEnd) { known = .disguised }
            }

            var valueStart = colon &+ 1
            while valueStart < end, octets[valueStart].isWhitespace { valueStart &+= 1 }
            var lineEnd = octets.firstControl(from: valueStart, to: end)
            while lineEnd < end, octets[lineEnd] == .tab { lineEnd = octets.firstControl(from: lineEnd &+ 1, to: end) }
            guard lineEnd < end else { return .incomplete }
            guard octets[lineEnd] == .carriageReturn else {
                return .malformed(octets[lineEnd] == .lineFeed ? .bareLineFeed : .controlInValue)
            }
            guard lineEnd &+ 1 < end else { return .incomplete }
            guard octets[lineEnd &+ 1] == .lineFeed else { return .malformed(.bareCarriageReturn) }
            var valueEnd = lineEnd
            while valueEnd > valueStart, octets[valueEnd &- 1].isWhitespace { valueEnd &-= 1 }

            guard count < capacity else { return .malformed(.tooManyFields) }
            let line = FieldLine(
                name: OctetRange(cursor, nameEnd), value: OctetRange(valueStart, valueEnd), known: known)
            (lines + count).initialize(to: line)
            count &+= 1
            repeated |= present & known.bit
            present |= known.bit
            if let fault = inspect(line, octets) { return .malformed(fault) }
            cursor = lineEnd &+ 2
        }
        return .incomplete
    }

    /// What an octet that ends a name too early means.
    private static func nameFault(_ octet: UInt8, at offset: Int) -> MessageFault {
        switch octet {
        case .carriageReturn, .lineFeed: .missingColon
        case .space, .tab: .whitespaceBeforeColon
        default: offset == 0 ? .emptyFieldName : .invalidFieldName
        }
    }

    /// Takes in the fields that decide about framing and connection.
    @inline(__always)
    private mutating func inspect(_ line: FieldLine, _ octets: Octets) -> MessageFault? {
        switch line.known {
        case .contentLength: inspectContentLength(octets, line.value)
        case .transferEncoding: codings.add(octets, line.value)
        case .connection: connection.add(octets, line.value)
        default: nil
        }
    }

    /// Decimal digits; the same number again, in the same or another field, is one (RFC 9110 section 8.6), since the
    /// number is written anew when the message is passed on.
    private mutating func inspectContentLength(_ octets: Octets, _ value: OctetRange) -> MessageFault? {
        var list = ListCursor(octets, value)
        while let element = list.next() {
            guard !element.isEmpty else { return .invalidContentLength }
            var number: UInt64 = 0
            for index in element.lowerBound..<element.upperBound {
                guard octets[index].isDigit else { return .invalidContentLength }
                let (product, overflow) = number.multipliedReportingOverflow(by: 10)
                let (sum, carry) = product.addingReportingOverflow(UInt64(octets[index] &- UInt8(ascii: "0")))
                guard !overflow, !carry, sum <= UInt64(Int64.max) else { return .contentLengthTooLarge }
                number = sum
            }
            if hasContentLength, number != contentLength { return .conflictingContentLength }
            contentLength = number
            hasContentLength = true
        }
        return nil
    }

    /// Marks the fields that Connection lists. The work is bounded by `ConnectionOptions.maximum` times the fields.
    mutating func markConnectionListed(_ octets: Octets) {
        guard connection.others > 0 else { return }
        for index in 0..<count where lines[index].known == .connection {
            var list = ListCursor(octets, lines[index].value)
            while let option = list.next() {
                guard !option.isEmpty else { continue }
                for candidate in 0..<count where octets.sameText(lines[candidate].name, option) {
                    lines[candidate].isConnectionListed = true
                }
            }
        }
    }
}

extension HeadFields {
    /// Copies the field lines whose names are not in `removed` and that Connection does not list. Lines that stay and
    /// are neighbours are copied at once.
    func copy(from buffer: UnsafeRawBufferPointer, without removed: UInt64, to writer: inout OctetWriter) {
        var index = 0
        while index < count {
            if isRemoved(index, removed) {
                index &+= 1
                continue
            }
            var last = index
            while !hasSpaceBeforeColon, last &+ 1 < count, !isRemoved(last &+ 1, removed) { last &+= 1 }
            if hasSpaceBeforeColon {
                writer.append(lines[index].name.octets(in: buffer))
                writer.append(": ")
                writer.append(lines[index].value.octets(in: buffer))
            } else {
                // Each line runs to the start of the next, and the last one as far as its value.
                let range = lines[index].name.lowerBound..<lines[last].value.upperBound
                precondition(range.upperBound <= buffer.count, "not the buffer that was parsed")
                writer.append(UnsafeRawBufferPointer(rebasing: buffer[range]))
            }
            writer.append("\r\n")
            index = last &+ 1
        }
    }

    @inline(__always)
    private func isRemoved(_ index: Int, _ removed: UInt64) -> Bool {
        let line = lines[index]
        return line.known.bit & removed != 0 || line.isConnectionListed
    }
}
