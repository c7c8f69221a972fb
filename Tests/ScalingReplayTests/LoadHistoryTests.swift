import CloudModel
import ScalingListener
import ScalingReplay
import Testing

@Suite struct LoadHistoryTests {
    private func csv(_ text: String) throws -> LoadHistory { try CSVHistory.read(text.utf8) }

    @Test func readsWithHeadLineCarriageReturnsAndGaps() throws {
        let history = try csv("timestamp_seconds,value\r\n0,2\r\n60,4,x\r\n120,\r\n\r\n180,6\r\n")
        #expect(history.points.map(\.value) == [2, 4, 6])
        #expect(history.interval == .minutes(2))
    }

    @Test(arguments: [
        ("0,1\nx,2\n", "line 2: 'x' is no number of seconds"), ("0,1\n60\n", "line 2: there is no comma"),
        ("0,1\n60,nan\n", "line 2: 'nan' is no number"), ("0,1\n60,-1\n", "line 2: the value -1.0 is below zero"),
        ("0,1\n", "the history has 1 usable points"), ("", "the history has 0 usable points"),
    ])
    func saysWhatIsWrong(text: String, message: String) {
        let fault = #expect(throws: LoadHistory.Fault.self) { try csv(text) }
        #expect(fault.map { $0.description.hasPrefix(message) } == true, "\(String(describing: fault))")
    }

    @Test func finerPointsAreAveragedAndCoarserHold() throws {
        let fine = try csv("0,1\n30,3\n60,4\n90,8\n").demand(step: .minutes(1), capacity: .perInstance(2))
        #expect(fine.demand == [1, 3])
        let coarse = try csv("0,2\n120,4\n").demand(step: .minutes(1), capacity: .perInstance(2))
        #expect(coarse.demand == [1, 1, 2, 2])
        let scaled = try csv("0,2\n60,4\n").demand(step: .minutes(1), capacity: .meanInstances(12))
        #expect(scaled.demand == [8, 16])
    }

    @Test func aLongGapIsNoData() throws {
        let trace = try csv("0,1\n60,1\n120,1\n480,1\n").demand(step: .minutes(1), capacity: .perInstance(1))
        #expect(trace.demand == [1, 1, 1, 1, 1, nil, nil, nil, 1])
    }

    @Test func refusesWhatCannotBeScaled() throws {
        let idle = try csv("0,0\n60,0\n")
        #expect(throws: LoadHistory.Fault.noLoad) {
            try idle.demand(step: .minutes(1), capacity: .meanInstances(12))
        }
        #expect(throws: LoadHistory.Fault.noCapacity) {
            try idle.demand(step: .minutes(1), capacity: .perInstance(0))
        }
        let long = try csv("0,1\n60,1\n9999999999,1\n")
        #expect(throws: LoadHistory.Fault.self) { try long.demand(step: .seconds(1), capacity: .perInstance(1)) }
    }

    @Test func readsTheCombinedFormat() {
        let line = #"9.9.9.9 - bob [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.0" 200 2326 "-" "curl \"x" 0.250"#
        let entry = CombinedLog.entry(Substring(line))
        #expect(entry?.at == Timestamp(rfc3339: "2000-10-10T20:55:36Z"))
        #expect(entry?.seconds == 0.25)
        let common = #"9.9.9.9 - - [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.0" 200 2326"#
        #expect(CombinedLog.entry(Substring(common))?.seconds == nil)
        #expect(CombinedLog.entry("nothing of this") == nil)
        #expect(CombinedLog.entry("a [10/Foo/2000:13:55:36 -0700] b") == nil)
    }

    @Test func requestsBecomeConcurrencyWhereDurationsAreKnown() throws {
        var requests = RequestHistory(step: .minutes(1))
        requests.add(at: .epoch + .seconds(30), seconds: 60)
        requests.add(at: .epoch + .seconds(150), seconds: 6)
        #expect(requests.isConcurrency)
        #expect(try requests.history().points.map(\.value) == [0.5, 0.5, 0.1])
        requests.add(at: .epoch + .seconds(151), seconds: nil)
        #expect(try requests.history().points.map(\.value) == [1, 0, 2])
    }

    @Test func aChartShowsEveryMiss() {
        let demand = [Double?](repeating: 1, count: 5_000) + [3] + [Double?](repeating: 1, count: 5_000)
        let trace = DemandTrace(startsAt: .epoch, step: .minutes(1), demand: demand)
        let result = Replay(ReplaySettings()).run(
            NamedPolicy("<react>", .react, ReactPolicy()), on: trace, keepSupply: true)
        let chart = ReplayChart.svg(trace, result)
        #expect(result.missedSteps == 1)
        #expect(chart.contains("&lt;react&gt;") && !chart.contains("<react>"))
        #expect(chart.split(separator: "\n").contains { $0.hasPrefix("<path d=\"M") && $0.contains("V") })
    }
}
