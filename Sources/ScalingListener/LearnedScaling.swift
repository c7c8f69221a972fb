public import CloudModel

/// What a service whose configuration names no policy scales by, once its load is known: the tournament over the
/// history of its demand.
///
/// - Nothing for the first day: the service then follows each sample, as `ConcurrencyPolicy` says.
/// - Afterwards by the policy that was cheapest within the miss budget; each sample still, while that way is the best.
/// - After a restart the history is gone through again, a part at a time, before anything comes of it.
public struct LearnedScaling: Sendable {
    private var history: DemandHistory
    /// Made when the first minute is known: it is large.
    private var tournament: TournamentPolicy?
    private let start: String
    private let minimum: Int
    /// The minute that is being sampled, and the highest demand in it so far.
    private var minute: Int64?
    private var highest = 0.0
    /// The last minute that the tournament was shown.
    private var shown: Int64?
    private var minutesShown = 0
    private var latest: DemandWish?
    private var told: String
    private var isUnsaved = false

    /// A day: fewer say nothing about the course of one.
    static let minutesBeforeChoice = 1_440
    /// From the decision to an instance that serves, where nothing says otherwise.
    static let startupTime = TimeSpan.seconds(30)

    public init(history: DemandHistory, target: Double, minimum: Int) {
        self.history = history
        let percent = Int(min(max((target * 10).rounded(), 2), 9)) * 10
        start = "horizontal \(percent) % window 5m"
        told = start
        self.minimum = minimum
    }

    public var measure: String { history.measure }

    private var incumbent: String { tournament?.incumbentName ?? start }

    /// What is wished for; nil while each sample decides by itself.
    public var wish: DemandWish? {
        guard minutesShown >= Self.minutesBeforeChoice, incumbent != start, remembered == nil else {
            return nil
        }
        return latest
    }

    /// - Parameter now: the wall clock, since loads follow the hours of the day.
    public mutating func observe(_ demand: Double, at now: Timestamp) {
        let present = now.microseconds / 60_000_000
        guard let minute, minute != present else {
            minute = present
            highest = max(highest, demand)
            return
        }
        let isCaughtUp = remembered == nil
        history.note(highest, minute: minute)
        isUnsaved = true
        if isCaughtUp, history.newestMinute == minute {
            show(minute)
        }
        // The clock was set, or there was no load to be seen for a while: the last wish is an old one.
        if present != minute + 1 { latest = nil }
        self.minute = present
        highest = demand
    }

    /// Of the history, what the tournament has not been shown yet.
    private var remembered: ClosedRange<Int64>? {
        guard let oldest = history.oldestMinute, let newest = history.newestMinute else { return nil }
        let next = shown.map { max(oldest, $0 + 1) } ?? oldest
        return next <= newest ? next...newest : nil
    }

    /// Goes through so many minutes of the history.
    /// - Returns: how many it were.
    public mutating func catchUp(_ limit: Int) -> Int {
        guard limit > 0, let remembered else { return 0 }
        var count = 0
        for minute in remembered {
            shown = minute
            guard show(minute) else { continue }
            count += 1
            if count == limit { break }
        }
        return count
    }

    /// As it was stored, and with the instances that there would have been: what is learned from a load does not depend
    /// on whether it was lived through or remembered.
    @discardableResult
    private mutating func show(_ minute: Int64) -> Bool {
        shown = minute
        guard let demand = history.value(minute: minute) else { return false }
        minutesShown += 1
        if tournament == nil {
            let catalogue = PolicyCatalogue(
                decisionInterval: .minutes(1), startupTime: Self.startupTime, missBudget: 0.01)
            tournament = TournamentPolicy(catalogue, first: start, minimum: minimum, hoursBeforeChoice: 24)
        }
        let (ready, committed) = tournament?.shadow ?? (wholeInstances(demand), wholeInstances(demand))
        latest = tournament?.wish(
            DemandSample(
                at: Timestamp(microseconds: minute * 60_000_000), demand: demand, ready: ready, committed: committed))
        return true
    }

    /// Another policy has taken over since the last time that this was asked.
    public mutating func takeChange() -> TournamentPolicy.Choice? {
        guard minutesShown >= Self.minutesBeforeChoice, incumbent != told, remembered == nil else {
            return nil
        }
        defer { told = incumbent }
        return tournament?.choice(insteadOf: told)
    }

    /// The newest day as it is to be stored, every ten minutes, or at once where `isLast`.
    public mutating func takeUnsaved(isLast: Bool = false) -> (place: Int, text: String)? {
        guard isUnsaved, isLast || (history.newestMinute ?? 0) % 10 == 9 else { return nil }
        isUnsaved = false
        return history.newestDay
    }
}
