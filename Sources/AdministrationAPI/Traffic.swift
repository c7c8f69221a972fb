extension API {
    /// What the gateway has carried for a service or to an instance: totals, so that any two answers give the rates
    /// between them.
    public struct Traffic: WireType {
        public var service: String
        public var instance: String?
        public var at: Moment
        public var requestsInFlight: Int
        public var requests: UInt64
        public var errors: UInt64
        public var failures: UInt64
        public var refusals: UInt64
        public var bytesIn: UInt64
        public var bytesOut: UInt64
        public var latency: Latency

        public init(
            service: String, instance: String? = nil, at: Moment, requestsInFlight: Int, requests: UInt64,
            errors: UInt64, failures: UInt64, refusals: UInt64, bytesIn: UInt64, bytesOut: UInt64, latency: Latency
        ) {
            self.service = service
            self.instance = instance
            self.at = at
            self.requestsInFlight = requestsInFlight
            self.requests = requests
            self.errors = errors
            self.failures = failures
            self.refusals = refusals
            self.bytesIn = bytesIn
            self.bytesOut = bytesOut
            self.latency = latency
        }

        public static let summary = """
            What the gateway has carried for a service or to an instance: totals, so that any two answers give the \
            rates between them.
            """
        public static let fields = [
            "service": "The service.",
            "instance": "The instance; absent for the service as a whole.",
            "at": "When the figures were read.",
            "requestsInFlight": "Requests that have not ended, as of the newest load sample.",
            "requests": "Requests that have ended, by an answer or by an abort.",
            "errors": "Answers with a status of 500 and more, refusals by the scaling listener left out.",
            "failures": """
            Of an instance: attempts that it failed. Of a service: answers that the gateway gave for an instance \
            that failed.
            """,
            "refusals": "Requests that the scaling listener refused; none are an instance's.",
            "bytesIn": "Bytes that consumers sent.",
            "bytesOut": "Bytes that consumers were sent.",
            "latency": "How long answers took.",
        ]
    }

    /// How long requests took from the end of their head to the last of their answer, waiting included.
    public struct Latency: WireType {
        public var count: UInt64
        public var sumMicroseconds: UInt64
        public var p50Microseconds: Int64?
        public var p90Microseconds: Int64?
        public var p99Microseconds: Int64?
        public var p999Microseconds: Int64?
        public var buckets: [LatencyBucket]

        public init(
            count: UInt64, sumMicroseconds: UInt64, p50Microseconds: Int64? = nil, p90Microseconds: Int64? = nil,
            p99Microseconds: Int64? = nil, p999Microseconds: Int64? = nil, buckets: [LatencyBucket]
        ) {
            self.count = count
            self.sumMicroseconds = sumMicroseconds
            self.p50Microseconds = p50Microseconds
            self.p90Microseconds = p90Microseconds
            self.p99Microseconds = p99Microseconds
            self.p999Microseconds = p999Microseconds
            self.buckets = buckets
        }

        public static let summary = """
            How long requests took from the end of their head to the last of their answer, waiting included; without \
            tunnels and without those that consumers gave up. Quantiles are over all time and at most 6.25 % too high.
            """
        public static let fields = [
            "count": "Requests that were timed.",
            "sumMicroseconds": "Their durations together.",
            "p50Microseconds": "The median; absent where nothing was timed, as are the other quantiles.",
            "p90Microseconds": "Nine of ten took no longer.",
            "p99Microseconds": "99 of 100 took no longer.",
            "p999Microseconds": "999 of 1000 took no longer.",
            "buckets": "How they are spread, in ascending order, without the empty buckets.",
        ]
    }

    /// So many durations below an end, and not below that of any smaller bucket.
    public struct LatencyBucket: WireType {
        public var belowMicroseconds: Int64?
        public var count: UInt64

        public init(belowMicroseconds: Int64?, count: UInt64) {
            self.belowMicroseconds = belowMicroseconds
            self.count = count
        }

        public static let summary = "So many durations below an end, and not below that of any smaller bucket."
        public static let fields = [
            "belowMicroseconds": "The bucket's end; absent for the last one, which begins at 18 minutes.",
            "count": "Durations in the bucket.",
        ]
    }
}
