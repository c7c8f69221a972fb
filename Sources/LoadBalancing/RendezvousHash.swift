import CloudModel

/// Weighted rendezvous hashing: every backend draws a number from (key, backend), and the best draw wins.
///
/// Thaler and Ravishankar, "Using name-based mappings to increase hit rates" (1998); weights by the logarithmic
/// method of Schindelhauer and Schomaker, "Weighted distributed hash tables" (2005): the score is -weight / ln(u).
/// Chosen over a ring or Maglev's table because it is exact where those are approximate: shares are proportional to
/// weights, and a change moves no key but those that the changed backend loses or gains, whether it joins, leaves, or
/// grows in slow start. It also ranks all backends for a key, which gives the next best when the first is full. The
/// price is one draw for each backend and request, a few nanoseconds each.
package enum RendezvousHash {
    /// A backend's own part of the draw: FNV-1a over its name (which outlives restarts in place), mixed.
    static func seed(_ instance: InstanceID) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in instance.rawValue.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return mixed(hash)
    }

    /// A uniform draw from key and backend.
    @inline(__always)
    static func draw(key: UInt64, seed: UInt64) -> UInt64 { mixed(key ^ seed) }

    /// The draw's rank under a weight; higher is better. Monotonic in the draw, so equal weights need no logarithm.
    static func score(draw: UInt64, weight: Int64) -> Double {
        // The middle of one of 2^53 equal steps: never 0, never 1.
        let uniform = (Double(draw >> 11) + 0.5) * 0x1p-53
        return Double(weight) / -naturalLogarithm(uniform)
    }

    /// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014): a bijection in which every input bit moves every
    /// output bit.
    @inline(__always)
    private static func mixed(_ value: UInt64) -> UInt64 {
        var mixed = value &+ 0x9E37_79B9_7F4A_7C15
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// From the four basic operations alone, which IEEE 754 rounds alike everywhere: all machines rank alike.
    /// ln(m * 2^e) = e ln 2 + 2 artanh((m - 1) / (m + 1)) with m in [sqrt(1/2), sqrt(2)); 12 terms are exact to 1e-16.
    package static func naturalLogarithm(_ value: Double) -> Double {
        var significand = value.significand
        var exponent = Double(value.exponent)
        if significand > 1.414_213_562_373_095_1 {
            significand /= 2
            exponent += 1
        }
        let ratio = (significand - 1) / (significand + 1)
        let square = ratio * ratio
        var sum = 0.0
        var term = 23
        while term >= 1 {
            sum = sum * square + 1 / Double(term)
            term -= 2
        }
        return exponent * 0.693_147_180_559_945_3 + 2 * ratio * sum
    }
}
