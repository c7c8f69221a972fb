/// What the use of cloud services costs, in one currency and one calendar.
public struct PricePlan: Codable, Hashable, Sendable {
    public var id: PricePlanID
    public var displayName: String
    public var currency: Currency
    /// Name in the time zone database (`Europe/Berlin`): billing periods are the calendar months there.
    public var timeZone: String
    /// How each line of a bill is rounded to the minor unit: once, at the end.
    public var rounding: Rounding
    /// The most that the two agents may differ by for a service's lines to be billed; above it they are held.
    public var tolerance: ExactDecimal
    /// Names are unique.
    public var prices: [Price]

    public enum Rounding: String, Codable, Hashable, Sendable, CaseIterable {
        /// To the nearest; a tie to the even digit (IEEE 754, roundTiesToEven), so that ties do not add up.
        case halfEven = "half-even"
        /// To the nearest; a tie away from zero, as commerce usually does.
        case halfUp = "half-up"
    }

    public init(
        id: PricePlanID, displayName: String = "", currency: Currency, timeZone: String = "UTC",
        rounding: Rounding = .halfEven, tolerance: ExactDecimal = ExactDecimal(1), prices: [Price]
    ) {
        self.id = id
        self.displayName = displayName
        self.currency = currency
        self.timeZone = timeZone
        self.rounding = rounding
        self.tolerance = tolerance
        self.prices = prices
    }
}

public typealias PricePlanID = Identifier<PricePlan>

/// What can be billed by its amount.
public enum BilledMeter: RawRepresentable, Codable, Hashable, Sendable, CaseIterable {
    /// Time that instances ran; limited to one service it is that service's flavor-hour. Resource agent.
    case instanceHour
    /// Processor held while running: one processor for one second. Resource agent.
    case vcpuSecond
    /// Memory held while running or suspended: 2^30 bytes for one hour. Resource agent.
    case gibHour
    /// Requests that an instance answered. Monitoring agent.
    case request
    /// Bytes that consumers sent. Monitoring agent.
    case byteIn
    /// Bytes that consumers were sent. Monitoring agent.
    case byteOut
    /// Time that instances were busy with requests. Monitoring agent.
    case busySecond
    /// Whatever a service counts by itself and reports as usage events, by the service's name for it.
    case event(String)

    /// Those that the platform counts.
    public static let allCases: [BilledMeter] = [
        .instanceHour, .vcpuSecond, .gibHour, .request, .byteIn, .byteOut, .busySecond,
    ]

    private static let eventPrefix = "event:"

    /// As configurations and bills write it: `instance-hour`, `event:storage-gib-hour`.
    public init?(rawValue: String) {
        if rawValue.hasPrefix(Self.eventPrefix) {
            let name = String(rawValue.dropFirst(Self.eventPrefix.count))
            guard Identifier<BilledMeter>(name).isValidLabel else { return nil }
            self = .event(name)
        } else if let known = Self.allCases.first(where: { $0.rawValue == rawValue }) {
            self = known
        } else {
            return nil
        }
    }

    public var rawValue: String {
        switch self {
        case .instanceHour: "instance-hour"
        case .vcpuSecond: "vcpu-second"
        case .gibHour: "gib-hour"
        case .request: "request"
        case .byteIn: "byte-in"
        case .byteOut: "byte-out"
        case .busySecond: "busy-second"
        case .event(let name): Self.eventPrefix + name
        }
    }

    /// Whether it comes from the resource agent, and the service's owner pays; else whoever sent the requests does, or
    /// whom the service names.
    public var isHeld: Bool {
        switch self {
        case .instanceHour, .vcpuSecond, .gibHour: true
        case .request, .byteIn, .byteOut, .busySecond, .event: false
        }
    }
}

/// One price of a plan. It counts the use of each service by itself, over one billing period.
public struct Price: Codable, Hashable, Sendable {
    /// Names it on bills and in corrections; unique in the plan.
    public var id: String
    /// Nil for `flat` alone.
    public var meter: BilledMeter?
    /// Only the use of this service; nil for every service, each by itself.
    public var service: ServiceID?
    public var model: Model
    /// Units in a period that cost nothing.
    public var free: ExactDecimal
    /// The least that a period costs.
    public var minimum: ExactDecimal
    /// In force from then on; nil: always was.
    public var from: Timestamp?
    /// Exclusive; nil: for good.
    public var until: Timestamp?

    public enum Model: Codable, Hashable, Sendable {
        /// An amount for each period, used or not.
        case flat(ExactDecimal)
        /// An amount for each unit.
        case perUnit(ExactDecimal)
        /// Each unit at the price of the tier that it lies in.
        case graduated([Tier])
        /// All units at the price of the tier that their number lies in.
        case volume([Tier])
        /// An amount for each package that was begun.
        case package(ExactDecimal, size: ExactDecimal)
    }

    public struct Tier: Codable, Hashable, Sendable {
        /// The last unit of the tier, inclusive; nil for the last tier.
        public var upTo: ExactDecimal?
        public var price: ExactDecimal
        /// Added once the tier is reached.
        public var flat: ExactDecimal

        public init(upTo: ExactDecimal?, price: ExactDecimal, flat: ExactDecimal = .zero) {
            self.upTo = upTo
            self.price = price
            self.flat = flat
        }
    }

    public init(
        id: String, meter: BilledMeter?, service: ServiceID? = nil, model: Model, free: ExactDecimal = .zero,
        minimum: ExactDecimal = .zero, from: Timestamp? = nil, until: Timestamp? = nil
    ) {
        self.id = id
        self.meter = meter
        self.service = service
        self.model = model
        self.free = free
        self.minimum = minimum
        self.from = from
        self.until = until
    }
}
