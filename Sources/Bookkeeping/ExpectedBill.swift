public import CloudModel
import PayPerUse

/// What the instances of one service would cost its owner in a calendar month: expected use, rated as a bill is.
///
/// Only what the resource agent meters is expected, and what is due in any case: requests and a service's own meters do
/// not depend on the number of instances, and others pay for them.
public struct ExpectedBill: Sendable {
    /// A line, in the currency's decimals, rounded once as the plan says.
    public struct Line: Sendable {
        public var text: String
        /// Nil for what is due used or not.
        public var meter: BilledMeter?
        /// In the meter's unit, with 12 decimals at most.
        public var quantity: String
        public var amount: Money
    }

    public var plan: PricePlanID
    /// As 2026-12, by the calendar of the plan's time zone.
    public var month: String
    public var lines: [Line]
    public var total: Money
    /// Prices of the plan for other meters of the service, and for sizes that it does not say.
    public var notIncluded: [String]

    /// How many instances there would be.
    public struct Demand: Sendable {
        /// Instances in each of `steps`, summed up: only their ratio counts.
        public var heldSteps: Int
        public var steps: Int
        /// Of one instance; meters of what is nil are not included.
        public var size: ResourceLimits

        public init(heldSteps: Int, steps: Int, size: ResourceLimits) {
            self.heldSteps = heldSteps
            self.steps = steps
            self.size = size
        }
    }

    public enum Fault: Error, CustomStringConvertible {
        case unknownTimeZone(String, plan: PricePlanID)
        case noHistory

        public var description: String {
            switch self {
            case .unknownTimeZone(let zone, let plan):
                "the time zone '\(zone)' of price plan '\(plan)' is not known on this machine"
            case .noHistory: "there is no step with data to expect anything from"
            }
        }
    }

    /// - Parameters:
    ///   - month: as 2026-12; nil for the one after the month of `now`.
    public init(
        of service: ServiceID, _ demand: Demand, plan: PricePlan, month: String?, now: Timestamp
    ) throws(Fault) {
        guard demand.steps > 0 else { throw .noHistory }
        func zone(around time: Timestamp) throws(Fault) -> ZoneOffsets {
            guard let zone = TimeZoneData.offsets(of: plan.timeZone, around: time) else {
                throw .unknownTimeZone(plan.timeZone, plan: plan.id)
            }
            return zone
        }
        let next = BillingMonth(containing: now, in: try zone(around: now)).next
        let chosen = month.flatMap { BillingMonth($0) } ?? next
        let window = chosen.window(in: try zone(around: chosen.window(in: .utc).start))
        var rated = plan
        rated.prices = plan.prices.filter { price in
            (price.service ?? service) == service && (price.meter.map { Self.isKnown($0, demand.size) } ?? true)
        }
        let run = BillRun(plan: rated, window: window)
        let uses = run.windows.map { ($0, Self.use(of: service, demand, in: $0)) }
        let lines = run.lines(use: Dictionary(uniqueKeysWithValues: uses))
        self.plan = plan.id
        self.month = chosen.description
        self.lines = lines.map { line in
            Line(
                text: line.text, meter: line.meter, quantity: line.quantity,
                amount: Money(minorUnits: line.minorUnits, currency: plan.currency))
        }
        total =
            Bill(
                consumer: "", consumerName: "", month: chosen, window: window, plan: rated, cutoff: now, lines: lines
            ).total
        notIncluded = plan.prices.filter { price in
            (price.service ?? service) == service && !rated.prices.contains(price)
                && window.intersection(price.from, price.until) != nil
        }.map { "\($0.id) (\($0.meter?.rawValue ?? "period"))" }
    }

    private static func isKnown(_ meter: BilledMeter, _ size: ResourceLimits) -> Bool {
        switch meter {
        case .instanceHour: true
        case .vcpuSecond: size.cpuMillicores != nil
        case .gibHour: size.memory != nil
        case .request, .byteIn, .byteOut, .busySecond, .event: false
        }
    }

    /// As many instances on the average as in the history, for all of the window; to the microsecond, as the books
    /// count.
    private static func use(of service: ServiceID, _ demand: Demand, in window: BillingWindow) -> MeteredUse {
        let steps = Int128(demand.steps)
        let held = (Int128(demand.heldSteps) * window.microseconds + steps / 2) / steps
        var use = MeteredUse()
        use.add(held, .instanceHour, of: service)
        use.add(held * Int128(demand.size.cpuMillicores ?? 0), .vcpuSecond, of: service)
        use.add(held * Int128(demand.size.memory?.bytes ?? 0), .gibHour, of: service)
        return use
    }
}
