package import CloudModel
import CGateway

/// Where a request is in a trace (W3C Trace Context, level 2).
package struct TraceContext: Hashable {
    /// The trace's id.
    package var high: UInt64
    package var low: UInt64
    /// The consumer's span; 0 where the trace begins here.
    package var parent: UInt64
    /// The spans of the request, and of its forwarding to an instance.
    package var server: UInt64
    package var client: UInt64
    package var isSampled: Bool
    /// The consumer says that the trace's id is random: said on.
    var isRandom: Bool

    /// Of `traceparent`, as it is written.
    package static let textLength = 55

    /// A trace that begins with this request: it has the request's id.
    init(beginning request: RequestID, threshold: UInt64) {
        self.init(
            high: request.high, low: request.low, parent: 0,
            // The lowest 56 bits decide, as OpenTelemetry's consistent sampling has it.
            isSampled: request.low & (1 << 56 - 1) < threshold, isRandom: false, seed: request.low)
    }

    /// Goes on with a consumer's trace; nil where the field is none that can be gone on with.
    init?(traceParent field: UnsafeRawBufferPointer, seed: UInt64) {
        guard field.count >= Self.textLength, field[2] == 0x2D, field[35] == 0x2D, field[52] == 0x2D,
            let version = Self.number(field, 0, 2), version != 0xFF,
            // Later versions may add fields behind the flags.
            field.count == Self.textLength || (version > 0 && field[55] == 0x2D),
            let high = Self.number(field, 3, 16), let low = Self.number(field, 19, 16), high | low != 0,
            let parent = Self.number(field, 36, 16), parent != 0, let flags = Self.number(field, 53, 2)
        else { return nil }
        self.init(
            high: high, low: low, parent: parent, isSampled: flags & 1 != 0, isRandom: flags & 2 != 0, seed: seed)
    }

    private init(high: UInt64, low: UInt64, parent: UInt64, isSampled: Bool, isRandom: Bool, seed: UInt64) {
        self.high = high
        self.low = low
        self.parent = parent
        self.isSampled = isSampled
        self.isRandom = isRandom
        server = Self.mixed(seed)
        client = Self.mixed(seed ^ 0x5555_5555_5555_5555)
    }

    /// One-to-one, so that distinct requests get distinct spans (SplitMix64's finaliser); never 0.
    private static func mixed(_ seed: UInt64) -> UInt64 {
        var value = seed &+ 0x9E37_79B9_7F4A_7C15
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        value ^= value >> 31
        return value == 0 ? 1 : value
    }

    /// Lower-case hex digits; nil where there are others.
    private static func number(_ field: UnsafeRawBufferPointer, _ start: Int, _ count: Int) -> UInt64? {
        var value: UInt64 = 0
        for octet in field[start..<(start + count)] {
            switch octet {
            case 0x30...0x39: value = value << 4 | UInt64(octet &- 0x30)
            case 0x61...0x66: value = value << 4 | UInt64(octet &- 0x57)
            default: return nil
            }
        }
        return value
    }

    /// Writes the `traceparent` of what goes to the instance: `textLength` octets. Where nothing is recorded here the
    /// consumer's span stays the parent.
    func write(to target: UnsafeMutableRawPointer) {
        var end = 0
        func add(_ octet: UInt8) {
            target.storeBytes(of: octet, toByteOffset: end, as: UInt8.self)
            end += 1
        }
        func add(_ number: UInt64, digits: Int) {
            for digit in stride(from: digits - 1, through: 0, by: -1) {
                add(hexDigit(UInt8(truncatingIfNeeded: number >> UInt64(4 * digit)) & 15))
            }
        }
        add(0, digits: 2)
        add(0x2D)
        add(high, digits: 16)
        add(low, digits: 16)
        add(0x2D)
        add(isSampled || parent == 0 ? client : parent, digits: 16)
        add(0x2D)
        add((isSampled ? 1 : 0) | (isRandom ? 2 : 0), digits: 2)
    }

    /// As `traceparent` says it.
    package var text: String {
        withUnsafeTemporaryAllocation(byteCount: Self.textLength, alignment: 8) { buffer in
            guard let base = buffer.baseAddress else { return "" }
            write(to: base)
            return String(decoding: UnsafeRawBufferPointer(buffer), as: UTF8.self)
        }
    }

    /// For tests of what is read.
    package init?(traceParent text: String, seed: UInt64) {
        let context = Array(text.utf8).withUnsafeBytes { TraceContext(traceParent: $0, seed: seed) }
        guard let context else { return nil }
        self = context
    }
}

/// The contexts of the present requests, by connection. Reserved address space that is backed where it is used.
struct TraceContexts {
    private let memory: UnsafeMutableRawPointer
    private let byteCount: Int

    init(connections: Int) throws(GatewayError) {
        byteCount = connections * MemoryLayout<TraceContext>.stride
        guard let memory = cgateway_reserve(byteCount) else {
            throw GatewayError(.exhausted, "cannot reserve \(byteCount) bytes for traces")
        }
        self.memory = memory
    }

    func deallocate() { cgateway_unreserve(memory, byteCount) }

    subscript(connection: Int) -> TraceContext {
        get { memory.load(fromByteOffset: connection * MemoryLayout<TraceContext>.stride, as: TraceContext.self) }
        nonmutating set {
            memory.storeBytes(
                of: newValue, toByteOffset: connection * MemoryLayout<TraceContext>.stride, as: TraceContext.self)
        }
    }
}
