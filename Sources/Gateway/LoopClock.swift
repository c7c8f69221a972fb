import CGateway
import CloudModel

/// A loop's time: deadlines go by the monotonic clock, records by the wall clock, and one read of the former gives
/// both (the distance between them is measured again every second).
struct LoopClock {
    /// Microseconds of the monotonic clock at the last `read()`.
    private(set) var monotonic: Int64
    private var wallOffset: Int64
    private var offsetValidUntil: Int64

    init() {
        (monotonic, wallOffset) = Self.measureOffset()
        offsetValidUntil = monotonic + 1_000_000
    }

    @inline(__always)
    mutating func read() {
        monotonic = cgateway_monotonic_microseconds()
        if monotonic >= offsetValidUntil {
            (monotonic, wallOffset) = Self.measureOffset()
            offsetValidUntil = monotonic + 1_000_000
        }
    }

    /// Both clocks at one moment. Where the thread was put aside between the two reads, they are read again: the error
    /// would be in every record of the next second. A few times at most, and the closest counts.
    private static func measureOffset() -> (monotonic: Int64, wallOffset: Int64) {
        var closest = Int64.max
        var offset: Int64 = 0
        var after: Int64 = 0
        for _ in 0..<4 where closest > 20 {
            let before = cgateway_monotonic_microseconds()
            let wall = cgateway_wall_microseconds()
            after = cgateway_monotonic_microseconds()
            if after - before < closest {
                closest = after - before
                offset = wall - (before + closest / 2)
            }
        }
        return (after, offset)
    }

    @inline(__always) var timestamp: Timestamp { Timestamp(microseconds: monotonic + wallOffset) }

    /// The wall-clock time of a monotonic one.
    @inline(__always)
    func timestamp(ofMonotonic microseconds: Int64) -> Timestamp {
        Timestamp(microseconds: microseconds + wallOffset)
    }

    /// The monotonic time of a wall-clock deadline; far in the future stays far.
    @inline(__always)
    func monotonic(of timestamp: Timestamp) -> Int64 {
        timestamp.microseconds.subtractingReportingOverflow(wallOffset).partialValue
    }
}

/// Request ids of one loop: 128 bits, of which 64 were drawn from the kernel at the start and 64 come from xoshiro256**
/// (Blackman and Vigna, 2018) seeded likewise. Two loops or two runs share an id with a chance of 2^-64 per pair.
/// Unique, not secret.
struct RequestIDGenerator {
    private var state: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    private var high: UInt64 = 0
    private var drawn: UInt64 = 0

    init() {
        var seed = (UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0))
        let failure = withUnsafeMutableBytes(of: &seed) { cgateway_random($0.baseAddress, $0.count) }
        precondition(failure == 0, "the kernel gave no random bytes (getrandom: error \(-failure))")
        // A state of all zeros is the generator's only bad one.
        state = (seed.0 | 1, seed.1, seed.2, seed.3)
        high = seed.4
    }

    /// Uniform 64 bits, for choices that need no secrecy.
    @inline(__always)
    mutating func next() -> UInt64 {
        let multiplied = state.1 &* 5
        let result = ((multiplied << 7) | (multiplied >> 57)) &* 9
        let shifted = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= shifted
        state.3 = (state.3 << 45) | (state.3 >> 19)
        return result
    }

    @inline(__always)
    mutating func requestID() -> RequestID {
        // The counter makes the ids of one run distinct for certain, whatever the generator draws.
        drawn &+= 1
        return RequestID(high: high &+ drawn, low: next())
    }
}

/// Writes a request id as 32 lower-case hex digits.
@inline(__always)
func writeHex(_ id: RequestID, to target: UnsafeMutableRawPointer) {
    var high = id.high
    var low = id.low
    var position = 15
    while position >= 0 {
        target.storeBytes(of: hexDigit(UInt8(truncatingIfNeeded: high & 15)), toByteOffset: position, as: UInt8.self)
        target.storeBytes(
            of: hexDigit(UInt8(truncatingIfNeeded: low & 15)), toByteOffset: position &+ 16, as: UInt8.self)
        high >>= 4
        low >>= 4
        position &-= 1
    }
}

@inline(__always)
func hexDigit(_ nibble: UInt8) -> UInt8 { nibble < 10 ? 0x30 &+ nibble : 0x57 &+ nibble }
