extension API {
    /// What one policy would have done.
    public struct ReplayedPolicy: WireType {
        public var name: String
        public var kind: String?
        public var costThousandths: Int
        public var instanceSeconds: Int64
        public var missedTimePerMillion: Int
        public var missedWorkPerMillion: Int
        public var keepsBudget: Bool
        public var scaleOuts: Int
        public var scaleIns: Int

        public init(
            name: String, kind: String? = nil, costThousandths: Int, instanceSeconds: Int64, missedTimePerMillion: Int,
            missedWorkPerMillion: Int, keepsBudget: Bool, scaleOuts: Int, scaleIns: Int
        ) {
            self.name = name
            self.kind = kind
            self.costThousandths = costThousandths
            self.instanceSeconds = instanceSeconds
            self.missedTimePerMillion = missedTimePerMillion
            self.missedWorkPerMillion = missedWorkPerMillion
            self.keepsBudget = keepsBudget
            self.scaleOuts = scaleOuts
            self.scaleIns = scaleIns
        }

        public static let summary = "What a scaling policy would have done with a service's own history."
        public static let fields = [
            "name": "The policy and its parameters.",
            "kind": "What `spec.scaling.policy.kind` calls it; absent for one that a configuration cannot name.",
            "costThousandths": "Its instance-hours over those of one who knows the future; 1000: no more than those.",
            "instanceSeconds": "Time of instances, start-up and warm pool included.",
            "missedTimePerMillion": "The part of the time in which the demand exceeded the supply.",
            "missedWorkPerMillion": "The part of the work that came when there was no capacity for it.",
            "keepsBudget": "Whether no more of the time was missed than may be.",
            "scaleOuts": "How often it started instances.",
            "scaleIns": "How often it stopped instances.",
        ]
    }

    /// A piece of the history, and the instances that there would have been.
    public struct ReplayPoint: WireType {
        public var at: Moment
        public var demandThousandths: Int
        public var recommended: Int
        public var configured: Int

        public init(at: Moment, demandThousandths: Int, recommended: Int, configured: Int) {
            self.at = at
            self.demandThousandths = demandThousandths
            self.recommended = recommended
            self.configured = configured
        }

        public static let summary = "One piece of a replayed history; it may be several decisions long."
        public static let fields = [
            "at": "Its begin.",
            "demandThousandths": "The highest demand in it, in thousandths of an instance.",
            "recommended": "The fewest instances in it that the recommended policy would have had.",
            "configured": "The same of the policy that the service has.",
        ]
    }

    /// The history of one service through every policy.
    public struct ScalingReplay: WireType {
        public var service: String
        public var from: Moment
        public var until: Moment
        public var stepSeconds: Int64
        public var startupSeconds: Int64
        public var missBudgetPerMille: Int
        public var requests: Int
        public var isPart: Bool
        public var unavailable: String?
        public var clairvoyantInstanceSeconds: Int64?
        public var configured: ReplayedPolicy?
        public var recommended: ReplayedPolicy?
        public var recommendedInstanceSecondsPerDay: Int64?
        public var configuration: String?
        public var fixed: ReplayedPolicy?
        public var policies: [ReplayedPolicy]
        public var points: [ReplayPoint]

        public init(
            service: String, from: Moment, until: Moment, stepSeconds: Int64, startupSeconds: Int64,
            missBudgetPerMille: Int, requests: Int, isPart: Bool, unavailable: String? = nil
        ) {
            self.service = service
            self.from = from
            self.until = until
            self.stepSeconds = stepSeconds
            self.startupSeconds = startupSeconds
            self.missBudgetPerMille = missBudgetPerMille
            self.requests = requests
            self.isPart = isPart
            self.unavailable = unavailable
            policies = []
            points = []
        }

        public static let summary = """
            What every scaling policy would have done with the requests that the books have of a service. Requests in \
            flight and consumers are means over a step; what was refused is not in it.
            """
        public static let fields = [
            "service": "The service.",
            "from": "Where the history begins: with the first request in the time that was asked for.",
            "until": "Where it ends.",
            "stepSeconds": "The time between two decisions.",
            "startupSeconds": "From a decision to an instance that serves.",
            "missBudgetPerMille": "The part of the time that may be missed.",
            "requests": "So many requests were read.",
            "isPart": "There are more than are read at once: the oldest were left out.",
            "unavailable": "Why nothing could be replayed, and what to do; then all that follows is absent or empty.",
            "clairvoyantInstanceSeconds": "Time of instances of one who knows the future.",
            "configured": "The policy that the service has.",
            "recommended": "The policy to choose.",
            "recommendedInstanceSecondsPerDay": "The time of instances that it is expected to take in a day.",
            "configuration": "What to write in the service's document, as YAML, for the recommended one.",
            "fixed": "As many instances as the mean demand needs, always.",
            "policies": "All policies and parameter sets that were tried, the cheapest that kept the budget first.",
            "points": "For a chart: the history in at most 600 pieces.",
        ]
    }
}
