import CloudModel
import Testing

@Suite struct LatencyHistogramTests {
    @Test("buckets follow each other without a gap, and each is at most a sixteenth wide")
    func layout() {
        var begin: Int64 = 0
        for bucket in 0..<LatencyHistogram.bucketCount - 1 {
            guard let end = LatencyHistogram.endMicroseconds(ofBucket: bucket) else {
                Issue.record("bucket \(bucket) has no end")
                return
            }
            #expect(LatencyHistogram.bucket(ofMicroseconds: begin) == bucket)
            #expect(LatencyHistogram.bucket(ofMicroseconds: end - 1) == bucket)
            #expect(end - begin <= max(1, begin / 16))
            begin = end
        }
        #expect(begin == 1 << 30)
        #expect(LatencyHistogram.endMicroseconds(ofBucket: LatencyHistogram.bucketCount - 1) == nil)
        #expect(LatencyHistogram.bucket(ofMicroseconds: begin) == LatencyHistogram.bucketCount - 1)
        #expect(LatencyHistogram.bucket(ofMicroseconds: .max) == LatencyHistogram.bucketCount - 1)
        #expect(LatencyHistogram.bucket(ofMicroseconds: -5) == 0)
    }

    @Test("quantiles are those of the sorted durations, at most 6.25 % higher", arguments: [1, 2, 3])
    func quantiles(seed: UInt64) {
        var random = SplitMix(state: seed)
        var histogram = LatencyHistogram()
        var durations: [Int64] = []
        for _ in 0..<5_000 {
            let duration = Int64(random.next() % (1 << (random.next() % 29 + 1)))
            durations.append(duration)
            histogram.add(microseconds: duration)
        }
        durations.sort()
        for quantile in [0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0] {
            let rank = max(1, Int((quantile * Double(durations.count)).rounded(.up)))
            let exact = durations[rank - 1]
            guard let read = histogram.quantileMicroseconds(quantile) else {
                Issue.record("no quantile \(quantile)")
                continue
            }
            #expect(read > exact && read <= exact + max(1, exact / 16))
        }
        #expect(histogram.sumMicroseconds == durations.reduce(0) { $0 + UInt64($1) })
        for exponent in 0...30 {
            let limit = Int64(1) << Int64(exponent)
            #expect(histogram.count(belowMicroseconds: limit) == UInt64(durations.count { $0 < limit }))
        }
    }

    @Test("an empty histogram has no quantile; two add up")
    func merging() {
        var first = LatencyHistogram()
        #expect(first.quantileMicroseconds(0.5) == nil)
        var second = LatencyHistogram()
        var both = LatencyHistogram()
        for duration in [0, 3, 17, 40_000, 1 << 40] as [Int64] {
            first.add(microseconds: duration)
            second.add(microseconds: duration * 2)
            both.add(microseconds: duration)
            both.add(microseconds: duration * 2)
        }
        first.merge(second)
        #expect(first == both)
        #expect(first.count == 10)
        #expect(first.quantileMicroseconds(1) == 1 << 30)
    }

    private struct SplitMix {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }
}
