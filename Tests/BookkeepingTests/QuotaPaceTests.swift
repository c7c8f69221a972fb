import Bookkeeping
import CloudModel
import Testing

@Suite struct QuotaPaceTests {
    private func use(_ used: Int64, limit: Int64 = 1_000) -> QuotaPace.Use {
        QuotaPace.Use(consumer: "acme", kind: .requests, used: used, limit: limit)
    }

    @Test("the nearer a quota is to its end, the sooner it is looked at")
    func nearer() {
        var pace = QuotaPace()
        #expect(pace.next([use(0)], after: .zero) == QuotaPace.longest, "nothing is known yet")
        #expect(pace.next([use(100)], after: .seconds(2)) == QuotaPace.longest, "18 seconds are left")
        #expect(pace.next([use(800)], after: .seconds(2)) == .microseconds(142_857), "0.57 seconds are left")
        #expect(pace.next([use(990)], after: .milliseconds(142)) == QuotaPace.shortest)
        #expect(pace.next([use(1_010)], after: .milliseconds(100)) == QuotaPace.longest, "it is used up")
        #expect(pace.next([use(1_010)], after: .seconds(2)) == QuotaPace.longest, "nobody uses it")
    }

    @Test("the first quota that is used up counts, whoever's it is")
    func first() {
        var pace = QuotaPace()
        let other = QuotaPace.Use(consumer: "beta", kind: .amount, used: 0, limit: 1_000_000)
        _ = pace.next([other, use(0)], after: .zero)
        var later = other
        later.used = 1
        #expect(pace.next([later, use(900)], after: .seconds(1)) == QuotaPace.shortest)
    }
}
