extension API {
    /// Several CloudEvents 1.0 as one JSON array.
    public static let cloudEventBatchMediaType = "application/cloudevents-batch+json"
    /// One CloudEvent 1.0 in the JSON event format.
    public static let cloudEventMediaType = "application/cloudevents+json"
    /// Events in one request at most.
    public static let maximumUsageEvents = 1_000

    /// A usage record as a CloudEvent 1.0.
    public struct UsageCloudEvent: WireType {
        public var specversion: String
        public var id: String
        public var source: String
        public var type: String
        public var subject: String
        public var time: Moment
        public var datacontenttype: String
        public var data: UsageRecord

        public init(id: String, source: String, subject: String, time: Moment, data: UsageRecord) {
            specversion = "1.0"
            self.id = id
            self.source = source
            type = "cloudwright.usage.request"
            self.subject = subject
            self.time = time
            datacontenttype = "application/json"
            self.data = data
        }

        public static let summary = "A usage record as a CloudEvent 1.0."
        public static let fields = [
            "specversion": "`1.0`.",
            "id": "The request; with `source` it names the event for good.",
            "source": "The cloud.",
            "type": "`cloudwright.usage.request`.",
            "subject": "Who pays.",
            "time": "When the request was completed.",
            "datacontenttype": "`application/json`.",
            "data": "The record.",
        ]
    }

    /// What came of reported usage events.
    public struct UsageEventOutcome: WireType {
        public var stored: Int
        public var duplicates: Int

        public init(stored: Int, duplicates: Int) {
            self.stored = stored
            self.duplicates = duplicates
        }

        public static let summary = "What came of reported usage events."
        public static let fields = [
            "stored": "Those that are new.",
            "duplicates": "Those of a source and id that were stored before, with the same content.",
        ]
    }
}
