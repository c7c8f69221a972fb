import CloudModel
import PayPerUse

/// A small cloud whose truth is known, and what reached its books after faults.
struct SeededCloud {
    struct Run {
        var service: ServiceID
        var instance: InstanceID
        var incarnation: Int
        var resources: ResourceLimits
        var start: Timestamp
        var stop: Timestamp
        var wasTouched = false
    }

    static let owner: ConsumerID = "acme"
    static let lease = TimeSpan.seconds(60)
    static let month: BillingMonth = {
        guard let month = BillingMonth(year: 2_026, month: 11) else { preconditionFailure("no month") }
        return month
    }()
    static let window = month.window(in: .utc)

    private(set) var runs: [Run] = []
    private(set) var requests: [UsageRecord] = []
    private(set) var heartbeats: [InstanceID: Timestamp] = [:]
    /// As they arrived: in any order, some twice, some not at all.
    private(set) var events: [LifecycleEvent] = []
    private(set) var records: [(sequence: Int, record: UsageRecord)] = []
    /// What arrives after the month was closed.
    private(set) var lateEvents: [LifecycleEvent] = []
    private(set) var lateRecords: [(sequence: Int, record: UsageRecord)] = []
    private var random: SeededGenerator
    private let hasLosses: Bool
    /// Runs of which no event arrived in time, by instance: their requests are all that tells of them.
    private(set) var untold: [InstanceID: [Run]] = [:]

    /// - Parameter hasLosses: whether things are lost for good; else everything comes in the end.
    init(seed: UInt64, hasLosses: Bool) {
        random = SeededGenerator(seed: seed)
        self.hasLosses = hasLosses
        for service in 1...Int.random(in: 1...2, using: &random) {
            for instance in 1...Int.random(in: 1...3, using: &random) {
                live(ServiceID("s\(service)"), InstanceID("s\(service)-\(instance)"))
            }
        }
        for index in runs.indices { report(index) }
        events.shuffle(using: &random)
        sendRecords()
    }

    private mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

    private mutating func live(_ service: ServiceID, _ instance: InstanceID) {
        var clock = Self.window.start + .seconds(.random(in: 0...100_000, using: &random))
        let resources = ResourceLimits(
            cpuMillicores: .random(in: 1...4, using: &random) * 500,
            memory: .mebibytes(.random(in: 64...4_096, using: &random)))
        for incarnation in 1...Int.random(in: 1...3, using: &random) {
            let stop = clock + .microseconds(.random(in: 20_000_000...200_000_000_000, using: &random))
            runs.append(
                Run(
                    service: service, instance: instance, incarnation: incarnation, resources: resources, start: clock,
                    stop: stop))
            for _ in 0..<Int.random(in: 0...12, using: &random) { ask(service, instance, clock, stop) }
            // Seen running every five seconds.
            let beats = (stop - clock).microseconds / 5_000_000
            heartbeats[instance] = clock + .seconds(beats * 5)
            clock = stop + .seconds(.random(in: 1...50_000, using: &random))
        }
    }

    private mutating func ask(_ service: ServiceID, _ instance: InstanceID, _ from: Timestamp, _ until: Timestamp) {
        let begin = Timestamp(microseconds: .random(in: from.microseconds..<until.microseconds, using: &random))
        let length = Int64.random(in: 1...30_000_000, using: &random)
        let end = min(until - .microseconds(1), begin + .microseconds(length))
        requests.append(
            UsageRecord(
                requestID: RequestID(high: 1, low: UInt64(requests.count)), consumer: chance(50) ? "acme" : "beta",
                service: service, instance: instance, outcome: chance(5) ? .abortedByConsumer : .completed, status: 200,
                bytesIn: 100, bytesOut: .random(in: 0...100_000, using: &random), receivedAt: begin, forwardedAt: begin,
                completedAt: max(begin, end)))
    }

    // MARK: Faults

    private mutating func report(_ index: Int) {
        let run = runs[index]
        func event(_ kind: LifecycleEvent.Kind, _ at: Timestamp) -> LifecycleEvent {
            LifecycleEvent(
                instance: run.instance, incarnation: run.incarnation, service: run.service, owner: Self.owner,
                kind: kind,
                at: at, resources: run.resources)
        }
        // What neither an event, nor a request, nor a heartbeat tells of cannot be known.
        let leavesNoTrace = !requests.contains {
            $0.instance == run.instance && run.start <= $0.completedAt && $0.completedAt < run.stop
        }
        var lost = 0
        for (kind, at) in [(LifecycleEvent.Kind.start, run.start), (.stop, run.stop)] {
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<8 where hasLosses && !(leavesNoTrace && lost > 0):
                // Dropped; of a stop: the instance crashed with its agent.
                lost += 1
                runs[index].wasTouched = true
            case 8..<14 where !(leavesNoTrace && lost > 0):
                runs[index].wasTouched = true
                lateEvents.append(event(kind, at))
                lost += 1
            case 14..<22: events += [event(kind, at), event(kind, at)]
            case 22..<26 where hasLosses:
                // Reported again with another time by a clock that is wrong.
                runs[index].wasTouched = true
                events += [event(kind, at), event(kind, at + .seconds(.random(in: 1...5, using: &random)))]
            default: events.append(event(kind, at))
            }
        }
        if lost == 2 { untold[run.instance, default: []].append(run) }
    }

    private mutating func sendRecords() {
        for (sequence, record) in requests.enumerated() {
            let mustArrive = (record.instance.flatMap { untold[$0] } ?? []).contains {
                $0.start <= record.completedAt && record.completedAt < $0.stop
            }
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<3 where hasLosses && !mustArrive: break
            case 3..<6 where !mustArrive: lateRecords.append((sequence, record))
            case 6..<12: records += [(sequence, record), (sequence, record)]
            default: records.append((sequence, record))
            }
        }
        records.shuffle(using: &random)
    }
}

/// The books as the log database keeps them: each record once, sums by the hour.
struct SeededBooks {
    let events: [LifecycleEvent]
    let records: [UsageRecord]
    let heartbeats: [InstanceID: Timestamp]

    init(_ cloud: SeededCloud, withLate: Bool) {
        events = cloud.events + (withLate ? cloud.lateEvents : [])
        var known: Set<Int> = []
        records = (cloud.records + (withLate ? cloud.lateRecords : [])).filter { known.insert($0.sequence).inserted }
            .map(\.record)
        heartbeats = cloud.heartbeats
    }

    var reconstruction: UsageReconstruction {
        UsageReconstruction(
            events, lastHeartbeats: heartbeats, lease: SeededCloud.lease, now: SeededCloud.window.end)
    }

    func use(of consumer: ConsumerID) throws -> MeteredUse {
        var use = MeteredUse()
        let window = SeededCloud.window
        for sum in try ResourceUsage.sums(of: reconstruction.intervals, from: window.start, until: window.end)
        where sum.owner == consumer { use.add(sum) }
        for record in records where record.consumer == consumer { use.add(Self.sum(record)) }
        return use
    }

    func reconciliation() -> Reconciliation {
        var result = Reconciliation(
            reconstruction, lastHeartbeats: heartbeats, window: SeededCloud.window,
            owners: ["s1": SeededCloud.owner, "s2": SeededCloud.owner], unwatched: [])
        for record in records { result.takeHour(Self.sum(record)) }
        for question in result.questions {
            let found = records.filter {
                $0.instance == question.instance && question.window.start <= $0.completedAt
                    && $0.completedAt < question.window.end
            }
            guard let first = found.compactMap(\.forwardedAt).min(), let last = found.map(\.completedAt).max() else {
                continue
            }
            result.answer(
                InstanceActivity(
                    service: question.service, instance: question.instance, requests: Int64(found.count),
                    busyMicroseconds: found.reduce(0) { $0 + $1.busyTime.microseconds }, firstAt: first, lastAt: last))
        }
        return result
    }

    private static func sum(_ record: UsageRecord) -> MonitoredUsage {
        let hour = record.completedAt.microseconds / 3_600_000_000 * 3_600_000_000
        return MonitoredUsage(
            service: record.service, instance: record.instance, periodStart: Timestamp(microseconds: hour), requests: 1,
            aborted: record.outcome == .completed ? 0 : 1, bytesIn: Int64(record.bytesIn),
            bytesOut: Int64(record.bytesOut), busyMicroseconds: record.busyTime.microseconds)
    }
}
