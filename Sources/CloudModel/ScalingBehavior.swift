/// How fast the number of instances may move, in the words of Kubernetes' HorizontalPodAutoscaler v2 (`spec.behavior`).
public struct ScalingBehavior: Codable, Hashable, Sendable {
    /// Nil: as the HPA does without them (`ScalingRules.usualScaleUp`, `ScalingRules.usualScaleDown`).
    public var scaleUp: ScalingRules?
    public var scaleDown: ScalingRules?

    public init(scaleUp: ScalingRules? = nil, scaleDown: ScalingRules? = nil) {
        self.scaleUp = scaleUp
        self.scaleDown = scaleDown
    }

    /// As it is named in a replay: what differs from the usual, shortly.
    public var text: String {
        [scaleUp.map { "up \($0.text)" }, scaleDown.map { "down \($0.text)" }].compactMap { $0 }
            .joined(separator: ", ")
    }
}

/// The limits of one direction.
public struct ScalingRules: Codable, Hashable, Sendable {
    /// Which of several limits holds.
    public enum Selection: String, Codable, Hashable, Sendable, CaseIterable {
        /// The one that allows the largest change.
        case max = "Max"
        /// The one that allows the smallest change.
        case min = "Min"
        /// None: the count never moves in this direction.
        case disabled = "Disabled"
    }

    /// So much change in a period, counted from what there was when it began.
    public struct Limit: Codable, Hashable, Sendable {
        public enum Kind: String, Codable, Hashable, Sendable, CaseIterable {
            /// Whole instances.
            case pods = "Pods"
            case percent = "Percent"
        }

        public var kind: Kind
        /// Instances, or percent.
        public var value: Int
        public var period: TimeSpan

        public init(_ kind: Kind, _ value: Int, period: TimeSpan) {
            self.kind = kind
            self.value = value
            self.period = period
        }

        var text: String { "\(value)\(kind == .percent ? " %" : "")/\(period.text)" }
    }

    public var limits: [Limit]
    public var selection: Selection
    /// The least change that was wished for within this time counts.
    public var window: TimeSpan

    public init(_ limits: [Limit], selection: Selection = .max, window: TimeSpan) {
        self.limits = limits
        self.selection = selection
        self.window = window
    }

    /// Four instances or 100 %, whichever is more, in 15 s; at once.
    public static let usualScaleUp = ScalingRules(
        [Limit(.percent, 100, period: .seconds(15)), Limit(.pods, 4, period: .seconds(15))], window: .zero)
    /// All of them in 15 s; the highest wish of five minutes.
    public static let usualScaleDown = ScalingRules(
        [Limit(.percent, 100, period: .seconds(15))], window: .seconds(300))

    /// The longest period of a limit.
    public var longestPeriod: TimeSpan { limits.map(\.period).max() ?? .zero }

    public var text: String {
        guard selection != .disabled else { return "disabled" }
        let all = limits.map(\.text).joined(separator: selection == .max ? " or " : " and ")
        return window > .zero ? "\(all) window \(window.text)" : all
    }
}
