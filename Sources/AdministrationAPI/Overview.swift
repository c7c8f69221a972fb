extension API {
    /// What was served and refused in one minute, all consumers, services and instances together.
    public struct MinuteOfRequests: WireType {
        public var at: Moment
        public var served: Int64
        public var rejected: Int64

        public init(at: Moment, served: Int64, rejected: Int64) {
            self.at = at
            self.served = served
            self.rejected = rejected
        }

        public static let summary = "What was served and refused in one minute."
        public static let fields = [
            "at": "Its begin.",
            "served": "Requests that the scaling listener admitted, whatever became of them.",
            "rejected": "Requests that it refused.",
        ]
    }

    /// The whole cloud in sums, as many services and physical servers as it may have.
    public struct Overview: WireType {
        public var at: Moment
        public var services: Int
        public var servicesWell: Int
        public var instances: Int
        public var instancesUp: Int
        public var requestsInFlight: Int
        public var requestsAdmitted: UInt64
        public var consumersWaiting: Int
        public var incidents: Int
        public var physicalServers: Int
        public var physicalServersUp: Int
        public var cpuMillicores: Int
        public var cpuMillicoresUsed: Int
        public var memoryBytes: Int64
        public var memoryBytesUsed: Int64
        public var minutes: [MinuteOfRequests]

        /// An empty cloud.
        public init(at: Moment) {
            self.at = at
            (services, servicesWell, instances, instancesUp) = (0, 0, 0, 0)
            (requestsInFlight, requestsAdmitted, consumersWaiting, incidents) = (0, 0, 0, 0)
            (physicalServers, physicalServersUp) = (0, 0)
            (cpuMillicores, cpuMillicoresUsed, memoryBytes, memoryBytesUsed) = (0, 0, 0, 0)
            minutes = []
        }

        public static let summary = "The whole cloud in sums."
        public static let fields = [
            "at": "When it was so.",
            "services": "Cloud services.",
            "servicesWell": "Of these, services with as many instances up as they must have, and none failed or down.",
            "instances": "Service instances, removed ones left out.",
            "instancesUp": "Of these, instances that run and are up.",
            "requestsInFlight": "Requests that have not ended, as of the newest load samples.",
            "requestsAdmitted": "Requests that were admitted since the gateway began.",
            "consumersWaiting": "Consumers that wait for a higher limit.",
            "incidents": "Open incidents.",
            "physicalServers": "Physical servers.",
            "physicalServersUp": "Of these, physical servers that answer.",
            "cpuMillicores": "What they have of processors, in thousandths of one.",
            "cpuMillicoresUsed": "What virtual servers were given of it.",
            "memoryBytes": "What they have of memory.",
            "memoryBytesUsed": "What virtual servers were given of it.",
            "minutes": "Minute by minute, the oldest first; empty where no minutes were asked for.",
        ]
    }
}
