public import CloudModel

/// A load as it was recorded, in the unit of whoever recorded it: requests per minute, percent of a processor, requests
/// in flight.
public struct LoadHistory: Hashable, Sendable {
    public struct Point: Hashable, Sendable {
        public var at: Timestamp
        public var value: Double

        public init(at: Timestamp, value: Double) {
            self.at = at
            self.value = value
        }
    }

    /// Rising in time.
    public private(set) var points: [Point]

    /// What cannot be a history.
    public enum Fault: Error, Hashable, Sendable, CustomStringConvertible {
        case line(Int, String)
        case tooShort(Int)
        case tooLong(steps: Int)
        case noLoad
        case noCapacity

        public var description: String {
            switch self {
            case .line(let number, let text): "line \(number): \(text)"
            case .tooShort(let count): "the history has \(count) usable points; give 2 or more"
            case .tooLong(let steps):
                "the history has \(steps) steps of this length, more than \(LoadHistory.maximumSteps); "
                    + "give a longer decision interval or a part of the history"
            case .noLoad: "the load is zero throughout, so there is nothing to scale for"
            case .noCapacity: "the capacity of an instance is not above zero"
            }
        }
    }

    /// About nine years of minutes.
    public static let maximumSteps = 5_000_000

    /// Sorts the points; of several at one time the last counts.
    public init(_ points: [Point]) throws(Fault) {
        var sorted: [Point] = []
        sorted.reserveCapacity(points.count)
        let isRising = zip(points, points.dropFirst()).allSatisfy { $0.at <= $1.at }
        let ordered =
            isRising
            ? points
            : points.enumerated().sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }.map(\.element)
        for point in ordered where point.value.isFinite && point.value >= 0 {
            if sorted.last?.at == point.at { sorted.removeLast() }
            sorted.append(point)
        }
        guard sorted.count >= 2 else { throw .tooShort(sorted.count) }
        self.points = sorted
    }

    /// The median distance of two points.
    public var interval: TimeSpan {
        let gaps = zip(points, points.dropFirst()).map { $1.at - $0.at }.sorted()
        return gaps[gaps.count / 2]
    }

    public var mean: Double { points.reduce(0) { $0 + $1.value } / Double(points.count) }

    /// What one instance takes.
    public enum Capacity: Hashable, Sendable {
        /// In the history's own unit.
        case perInstance(Double)
        /// So that the mean of the history fills so many instances.
        case meanInstances(Double)
    }

    /// The demand at equal steps. Points that are closer than a step are averaged; points that are further apart hold
    /// until the next. Where three or more are missing in a row nothing is known.
    public func demand(step: TimeSpan, capacity: Capacity) throws(Fault) -> DemandTrace {
        let first = points[0].at
        let span = points[points.count - 1].at - first + interval
        let count =
            Int(span.microseconds / max(1, step.microseconds)) + (span.microseconds % step.microseconds > 0 ? 1 : 0)
        guard count <= Self.maximumSteps else { throw .tooLong(steps: count) }
        let scale: Double
        switch capacity {
        case .perInstance(let amount): scale = amount
        case .meanInstances(let instances): scale = mean / instances
        }
        guard scale.isFinite, scale >= 0 else { throw .noCapacity }
        guard scale > 0 else { throw capacity == .perInstance(0) ? .noCapacity : .noLoad }
        let holds = interval * 3
        var demand: [Double?] = []
        demand.reserveCapacity(count)
        var next = 0
        var held: Point?
        for index in 0..<count {
            let begin = first + step * Int64(index)
            let end = begin + step
            var (sum, found) = (0.0, 0.0)
            while next < points.count, points[next].at < end {
                sum += points[next].value
                found += 1
                held = points[next]
                next += 1
            }
            if found > 0 {
                demand.append(sum / found / scale)
            } else if let held, begin - held.at < holds {
                demand.append(held.value / scale)
            } else {
                demand.append(nil)
            }
        }
        return DemandTrace(startsAt: first, step: step, demand: demand)
    }
}

/// Reads `timestamp_seconds,value` with a head line; a further column is not read.
public enum CSVHistory {
    public static func read(_ bytes: some Sequence<UInt8>) throws(LoadHistory.Fault) -> LoadHistory {
        var points: [LoadHistory.Point] = []
        var number = 0
        for line in Array(bytes).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            number += 1
            let text = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
            if text.isEmpty || text.first == UInt8(ascii: "#") { continue }
            let fields = text.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
            guard fields.count >= 2 else {
                throw .line(number, "there is no comma; write timestamp_seconds,value")
            }
            guard let seconds = Double(String(decoding: fields[0], as: UTF8.self)), abs(seconds) < 1e11 else {
                if number == 1 { continue }
                throw .line(
                    number, "'\(String(decoding: fields[0].prefix(40), as: UTF8.self))' is no number of seconds")
            }
            // An empty value is no data.
            if fields[1].isEmpty { continue }
            guard let value = Double(String(decoding: fields[1], as: UTF8.self)), value.isFinite else {
                throw .line(number, "'\(String(decoding: fields[1].prefix(40), as: UTF8.self))' is no number")
            }
            guard value >= 0 else { throw .line(number, "the value \(value) is below zero; a load never is") }
            points.append(
                LoadHistory.Point(at: Timestamp(microseconds: Int64(seconds * 1_000_000)), value: value))
        }
        return try LoadHistory(points)
    }
}

/// Makes a load of requests: their number in each step, or how many were in flight on average, where durations are
/// known.
public struct RequestHistory: Sendable {
    private var arrivals: [Int64: Double] = [:]
    private var busy: [Int64: Double] = [:]
    private var lacksDuration = false
    private let step: TimeSpan
    public private(set) var requests = 0

    /// A request that lasted longer counts as this long.
    private static let longest = 3_600.0

    public init(step: TimeSpan) { self.step = max(step, .milliseconds(1)) }

    /// - Parameters:
    ///   - seconds: how long it took; nil where that is not known.
    public mutating func add(at begin: Timestamp, seconds: Double?) {
        requests += 1
        let first = slot(of: begin)
        arrivals[first, default: 0] += 1
        guard let seconds, seconds >= 0, seconds.isFinite else {
            lacksDuration = true
            return
        }
        var now = begin
        let end = begin + .microseconds(Int64(min(seconds, Self.longest) * 1_000_000))
        while now < end {
            let slot = slot(of: now)
            let next = min(Timestamp(microseconds: (slot + 1) * step.microseconds), end)
            busy[slot, default: 0] += (next - now).inSeconds
            now = next
        }
    }

    private func slot(of time: Timestamp) -> Int64 {
        let (whole, rest) = time.microseconds.quotientAndRemainder(dividingBy: step.microseconds)
        return rest < 0 ? whole - 1 : whole
    }

    /// Whether the load is requests in flight; else it is requests per step.
    public var isConcurrency: Bool { !lacksDuration && requests > 0 }

    /// A step without requests had none: a log is complete.
    public func history() throws(LoadHistory.Fault) -> LoadHistory {
        let values = isConcurrency ? busy.mapValues { $0 / step.inSeconds } : arrivals
        guard let first = arrivals.keys.min(), let last = arrivals.keys.max() else { throw .tooShort(0) }
        guard last - first < Int64(LoadHistory.maximumSteps) else { throw .tooLong(steps: Int(last - first)) }
        var points: [LoadHistory.Point] = []
        for slot in first...last {
            points.append(
                LoadHistory.Point(at: Timestamp(microseconds: slot * step.microseconds), value: values[slot] ?? 0))
        }
        return try LoadHistory(points)
    }
}
