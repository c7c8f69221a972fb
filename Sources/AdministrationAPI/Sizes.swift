extension API {
    /// Recorded use, from which a size is to be recommended.
    public struct RecordedUse: WireType {
        public var csv: String
        public var givenMillicores: Int
        public var maximumMillicores: Int?

        public init(csv: String, givenMillicores: Int, maximumMillicores: Int? = nil) {
            self.csv = csv
            self.givenMillicores = givenMillicores
            self.maximumMillicores = maximumMillicores
        }

        public static let summary = "What a virtual server used of its processors, as somebody recorded it."
        public static let fields = [
            "csv": "A line for each point in time: timestamp_seconds,millicores.",
            "givenMillicores": "What the server has at the start, 1 to 1000000.",
            "maximumMillicores": "What it may have (`maximumCpuMillicores`), 1 to 1000000; as much if not given.",
        ]
    }

    /// How large a virtual server should be.
    public struct SizeRecommendation: WireType {
        public var targetMillicores: Int
        public var lowerMillicores: Int
        public var upperMillicores: Int
        public var meanGivenMillicores: Int
        public var shortTimePerMillion: Int
        public var changes: Int
        public var points: Int

        public init(
            targetMillicores: Int, lowerMillicores: Int, upperMillicores: Int, meanGivenMillicores: Int,
            shortTimePerMillion: Int, changes: Int, points: Int
        ) {
            self.targetMillicores = targetMillicores
            self.lowerMillicores = lowerMillicores
            self.upperMillicores = upperMillicores
            self.meanGivenMillicores = meanGivenMillicores
            self.shortTimePerMillion = shortTimePerMillion
            self.changes = changes
            self.points = points
        }

        public static let summary =
            "How much processor time a virtual server should have, by the rules of Kubernetes' Vertical Pod Autoscaler."
        public static let fields = [
            "targetMillicores": "What it should have; never more than it may.",
            "lowerMillicores": "From here on nothing needs to change.",
            "upperMillicores": "Up to here nothing needs to change.",
            "meanGivenMillicores": "What it would have had in the mean, had it been followed from the start.",
            "shortTimePerMillion": "The part of the time in which it would have used all that it had.",
            "changes": "How often its size would have changed.",
            "points": "So many points in time were read.",
        ]
    }
}
