/// A natural number without a limit: what exact sums of money are made with. A price times a resource times
/// microseconds does not fit in 128 bits.
struct Natural: Hashable, Comparable, Sendable {
    /// Base 2^32, the least significant first, without leading zeros.
    private var limbs: [UInt32] = []

    init(_ value: UInt128) {
        var rest = value
        while rest > 0 {
            limbs.append(UInt32(truncatingIfNeeded: rest))
            rest >>= 32
        }
    }

    private init(limbs: [UInt32]) {
        self.limbs = limbs
        while self.limbs.last == 0 { self.limbs.removeLast() }
    }

    static let zero = Natural(0)
    static let one = Natural(1)

    var isZero: Bool { limbs.isEmpty }
    var isOdd: Bool { (limbs.first ?? 0) & 1 == 1 }

    /// Nil where it does not fit.
    var uint64: UInt64? {
        guard limbs.count <= 2 else { return nil }
        return limbs.reversed().reduce(UInt64(0)) { $0 << 32 | UInt64($1) }
    }

    static func powerOfTen(_ exponent: Int) -> Natural {
        (0..<exponent).reduce(.one) { power, _ in power * Natural(10) }
    }

    static func < (left: Natural, right: Natural) -> Bool {
        guard left.limbs.count == right.limbs.count else { return left.limbs.count < right.limbs.count }
        for index in left.limbs.indices.reversed() where left.limbs[index] != right.limbs[index] {
            return left.limbs[index] < right.limbs[index]
        }
        return false
    }

    static func + (left: Natural, right: Natural) -> Natural {
        var sum: [UInt32] = []
        var carry: UInt64 = 0
        for index in 0..<max(left.limbs.count, right.limbs.count) {
            carry += UInt64(index < left.limbs.count ? left.limbs[index] : 0)
            carry += UInt64(index < right.limbs.count ? right.limbs[index] : 0)
            sum.append(UInt32(truncatingIfNeeded: carry))
            carry >>= 32
        }
        sum.append(UInt32(carry))
        return Natural(limbs: sum)
    }

    /// `right` is not greater than `left`.
    static func - (left: Natural, right: Natural) -> Natural {
        precondition(right <= left, "a natural number is not negative")
        var difference = left.limbs
        var borrow: Int64 = 0
        for index in difference.indices {
            let rest = Int64(difference[index]) - Int64(index < right.limbs.count ? right.limbs[index] : 0) - borrow
            difference[index] = UInt32(truncatingIfNeeded: rest)
            borrow = rest < 0 ? 1 : 0
        }
        return Natural(limbs: difference)
    }

    static func * (left: Natural, right: Natural) -> Natural {
        var product = [UInt32](repeating: 0, count: left.limbs.count + right.limbs.count)
        for (index, limb) in left.limbs.enumerated() {
            var carry: UInt64 = 0
            for (other, factor) in right.limbs.enumerated() {
                carry += UInt64(limb) * UInt64(factor) + UInt64(product[index + other])
                product[index + other] = UInt32(truncatingIfNeeded: carry)
                carry >>= 32
            }
            product[index + right.limbs.count] = UInt32(carry)
        }
        return Natural(limbs: product)
    }

    /// Knuth, "The Art of Computer Programming", volume 2, section 4.3.1, algorithm D. The divisor is not zero.
    func quotientAndRemainder(dividingBy divisor: Natural) -> (quotient: Natural, remainder: Natural) {
        precondition(!divisor.isZero, "nothing is divided by zero")
        guard divisor <= self else { return (.zero, self) }
        if divisor.limbs.count == 1 { return divided(byLimb: divisor.limbs[0]) }
        let shift = divisor.limbs[divisor.limbs.count - 1].leadingZeroBitCount
        let low = divisor.shiftedLeft(shift)
        var rest = shiftedLeft(shift)
        if rest.count == limbs.count { rest.append(0) }
        let size = low.count
        var quotient = [UInt32](repeating: 0, count: rest.count - size)
        for place in quotient.indices.reversed() {
            let guess = Self.guess(rest, low, at: place)
            quotient[place] = Self.subtract(low, times: guess, from: &rest, at: place)
        }
        return (Natural(limbs: quotient), Natural(limbs: Self.shiftedRight(Array(rest[..<size]), shift)))
    }

    private func divided(byLimb divisor: UInt32) -> (quotient: Natural, remainder: Natural) {
        var quotient = limbs
        var rest: UInt64 = 0
        for index in limbs.indices.reversed() {
            rest = rest << 32 | UInt64(limbs[index])
            quotient[index] = UInt32(rest / UInt64(divisor))
            rest %= UInt64(divisor)
        }
        return (Natural(limbs: quotient), Natural(UInt128(rest)))
    }

    /// Step D3: at most one too high.
    private static func guess(_ rest: [UInt32], _ divisor: [UInt32], at place: Int) -> UInt64 {
        let size = divisor.count
        let top = UInt64(rest[place + size]) << 32 | UInt64(rest[place + size - 1])
        let head = UInt64(divisor[size - 1])
        var guess = top / head
        var left = top % head
        while guess >> 32 > 0
            || guess * UInt64(divisor[size - 2]) > (left << 32 | UInt64(rest[place + size - 2]))
        {
            guess -= 1
            left += head
            if left >> 32 > 0 { break }
        }
        return guess
    }

    /// Steps D4 to D6; gives back the digit.
    private static func subtract(
        _ divisor: [UInt32], times guess: UInt64, from rest: inout [UInt32], at place: Int
    ) -> UInt32 {
        var carry: UInt64 = 0
        var borrow: Int64 = 0
        for index in divisor.indices {
            let product = guess * UInt64(divisor[index]) + carry
            carry = product >> 32
            let difference = Int64(rest[place + index]) - borrow - Int64(product & 0xFFFF_FFFF)
            rest[place + index] = UInt32(truncatingIfNeeded: difference)
            borrow = difference < 0 ? 1 : 0
        }
        let top = Int64(rest[place + divisor.count]) - borrow - Int64(carry)
        rest[place + divisor.count] = UInt32(truncatingIfNeeded: top)
        guard top < 0 else { return UInt32(guess) }
        var added: UInt64 = 0
        for index in divisor.indices {
            added += UInt64(rest[place + index]) + UInt64(divisor[index])
            rest[place + index] = UInt32(truncatingIfNeeded: added)
            added >>= 32
        }
        rest[place + divisor.count] &+= UInt32(added)
        return UInt32(guess - 1)
    }

    /// By less than 32 bits.
    private func shiftedLeft(_ bits: Int) -> [UInt32] {
        guard bits > 0 else { return limbs }
        var shifted: [UInt32] = []
        var carry: UInt32 = 0
        for limb in limbs {
            shifted.append(limb << bits | carry)
            carry = limb >> (32 - bits)
        }
        if carry > 0 { shifted.append(carry) }
        return shifted
    }

    private static func shiftedRight(_ limbs: [UInt32], _ bits: Int) -> [UInt32] {
        guard bits > 0 else { return limbs }
        return limbs.indices.map { index in
            limbs[index] >> bits | (index + 1 < limbs.count ? limbs[index + 1] << (32 - bits) : 0)
        }
    }
}
