import CloudModel
import Testing
import VirtualInfrastructure

@Suite struct HostHealthTests {
    private func at(_ milliseconds: Int64) -> Timestamp { Timestamp(microseconds: milliseconds * 1_000) }

    private var up: HostHealth {
        var health = HostHealth()
        health.connected(at: at(0))
        #expect(health.phase == .unknown)
        health.tookStock()
        return health
    }

    @Test("a lost connection alone is a suspicion; with time it is a conclusion")
    func concludes() {
        var health = up
        health.disconnected(at: at(1_000))
        #expect(health.phase == .suspect)
        health.conclude(at: at(2_999))
        #expect(health.phase == .suspect)
        health.conclude(at: at(3_000))
        #expect(health.phase == .confirmed)
    }

    @Test("a service that answers speaks for its host, however long the hypervisor is silent")
    func servicesSpeakForIt() {
        var health = up
        health.disconnected(at: at(1_000))
        for second in stride(from: Int64(2_000), through: 60_000, by: 1_000) {
            health.serviceAnswered(at: at(second))
            health.conclude(at: at(second))
            #expect(health.phase == .suspect)
        }
        health.conclude(at: at(62_999))
        #expect(health.phase == .suspect)
        health.conclude(at: at(63_000))
        #expect(health.phase == .confirmed)
        health.serviceAnswered(at: at(63_001))
        #expect(health.phase == .suspect)
    }

    @Test("a host that comes back before it was given up is used at once; after that it is cleaned first")
    func comesBack() {
        var health = up
        health.disconnected(at: at(1_000))
        health.connected(at: at(1_500))
        #expect(health.phase == .up)
        health.disconnected(at: at(2_000))
        health.conclude(at: at(5_000))
        health.beginFencing()
        #expect(health.phase == .fencing)
        // Heard while it is being switched off: it is off in a moment all the same.
        health.connected(at: at(5_100))
        #expect(health.phase == .fencing)
        health.fenced()
        health.connected(at: at(9_000))
        #expect(health.phase == .recovering)
        health.cleaned()
        #expect(health.phase == .up)
    }

    @Test("a fence that failed proves nothing")
    func fenceFails() {
        var health = up
        health.disconnected(at: at(0))
        health.conclude(at: at(5_000))
        health.beginFencing()
        health.fencingFailed()
        #expect(health.phase == .confirmed)
    }

    @Test("one that has come back while its fence was on its way is used if that failed, and cleaned if it did not")
    func comesBackMeanwhile() {
        var health = up
        health.disconnected(at: at(0))
        health.conclude(at: at(5_000))
        health.beginFencing()
        health.connected(at: at(5_100))
        var other = health
        health.fencingFailed()
        #expect(health.phase == .up)
        other.fenced()
        #expect(other.phase == .fenced)
        let isBack = other.tookBack()
        #expect(isBack && other.phase == .recovering)
    }

    @Test("in whatever order things happen, one that is connected is not held for gone, and no fence is forgotten")
    func anyOrder() {
        var random = SeededGenerator(seed: 7)
        for _ in 0..<2_000 {
            var health = HostHealth()
            for step in 0..<40 {
                let now = at(Int64(step) * 700)
                let before = health.phase
                switch Int.random(in: 0..<11, using: &random) {
                case 0: health.connected(at: now)
                case 1: health.disconnected(at: now)
                case 2: health.serviceAnswered(at: now)
                case 3: health.servicesFailed()
                case 4: health.beginFencing()
                case 5: health.fencingFailed()
                case 6:
                    health.fenced()
                    _ = health.tookBack()
                case 7: health.cleaned()
                case 8: health.tookStock()
                case 9: health.expected(at: now)
                default: health.conclude(at: now)
                }
                if health.isConnected { #expect(![.suspect, .confirmed, .fenced].contains(health.phase)) }
                // What was given up is used again only once it was cleaned.
                if before == .fenced { #expect(health.phase == .fenced || health.phase == .recovering) }
                if before == .fencing { #expect(health.phase != .suspect && health.phase != .unknown) }
            }
        }
    }

    @Test(
        "several hosts lost at once are not switched off",
        arguments: [
            (1, 1, false), (1, 2, true), (2, 2, false), (1, 3, true), (2, 3, false), (2, 5, true), (3, 6, false),
            (0, 3, false),
        ])
    func storm(unreachable: Int, hosts: Int, permitted: Bool) {
        #expect(FencingGuard.permits(unreachable: unreachable, of: hosts) == permitted)
    }
}

@Suite struct PreCopyCostTests {
    @Test("an idle virtual server is copied once; a busy one in rounds that shrink by the same ratio")
    func rounds() throws {
        let idle = PreCopyCost(
            memory: .mebibytes(1_000), dirtyBytesPerSecond: 0, bandwidthBytesPerSecond: 100 << 20,
            maximumDowntime: .milliseconds(300))
        #expect(idle.rounds == 1)
        #expect(idle.totalTime == .seconds(10))
        #expect(idle.downtime == .zero)
        let busy = PreCopyCost(
            memory: .mebibytes(1_000), dirtyBytesPerSecond: 50 << 20, bandwidthBytesPerSecond: 100 << 20,
            maximumDowntime: .milliseconds(300))
        // 10 + 5 + 2.5 + 1.25 + 0.625 + 0.3125 s, then 0.15625 s of pause.
        #expect(busy.rounds == 6)
        #expect(busy.downtime == .microseconds(156_250))
        #expect(busy.totalTime == .microseconds(19_843_750))
    }

    @Test("memory that is written faster than it is copied never arrives")
    func diverges() {
        let cost = PreCopyCost(
            memory: .mebibytes(1_000), dirtyBytesPerSecond: 100 << 20, bandwidthBytesPerSecond: 100 << 20,
            maximumDowntime: .milliseconds(300))
        #expect(cost.totalTime == nil)
        #expect(cost.downtime == nil)
    }
}
