public import CloudModel

/// The log database: all that the platform meters, audits, decides and must remember.
///
/// Every write is durable when it returns. Methods throw `LogDatabaseError`.
public protocol LogDatabase: Sendable {
    // MARK: The controller's writes
    /// All of `transaction` or nothing. Events get consecutive positions in their order; gives back the last one.
    @discardableResult
    func commit(_ transaction: ControlTransaction) async throws(LogDatabaseError) -> Int64
    /// What a restarted control plane goes on from.
    func recoveredState() async throws(LogDatabaseError) -> StoredState

    // MARK: Event log
    /// In order of position.
    func events(_ query: EventQuery) async throws(LogDatabaseError) -> Page<PlatformEvent>
    func lastEventPosition() async throws(LogDatabaseError) -> Int64

    // MARK: Books
    /// Stores the records and the source's high-water mark in one transaction. Records at or below the mark are
    /// skipped if they are the same, and kept as a conflict if they are not; a gap in the sequence is recorded.
    @discardableResult
    func ingest(_ batch: SpoolBatch) async throws(LogDatabaseError) -> IngestOutcome
    /// How many records of a backlog are worth one batch: enough to pay for a transaction, and so few that nobody waits
    /// long behind them.
    var recordsOfBatch: Int { get }
    /// The sequence number up to which the source's records are stored; nil where it is unknown.
    func highWaterMark(ofSource source: String) async throws(LogDatabaseError) -> UInt64?
    /// The resource agent's heartbeat: these instances were seen running at that time.
    func heartbeat(_ instances: [InstanceID], at: Timestamp) async throws(LogDatabaseError)
    func lastHeartbeats() async throws(LogDatabaseError) -> [InstanceID: Timestamp]
    /// In order of time: every event of the incarnations that ran, or may have run, in the query's time, also those
    /// before and after it, since all are needed to tell how long each ran. `consumer` is the owner.
    func lifecycleEvents(_ query: UsageQuery) async throws(LogDatabaseError) -> [LifecycleEvent]
    /// Sums of the monitoring agent's records, grouped by consumer, service, instance and period, in that order. A
    /// request belongs to the time at which it was completed.
    func requestUsage(_ query: UsageQuery) async throws(LogDatabaseError) -> [RequestUsage]
    /// The newest first, those before a place.
    func usageRecords(_ query: UsageQuery, before place: UsageRecordPlace?, limit: Int)
        async throws(LogDatabaseError) -> [StoredUsageRecord]
    /// The oldest first, those after a place.
    func usageRecords(_ query: UsageQuery, after place: UsageRecordPlace?, limit: Int)
        async throws(LogDatabaseError) -> [StoredUsageRecord]
    /// Stores what services have counted themselves: all of it in one transaction, each source and id once, or nothing
    /// where there is a conflict.
    func ingest(_ events: [UsageEvent]) async throws(LogDatabaseError) -> UsageEventOutcome
    /// In order of position.
    func usageEvents(after position: Int64, limit: Int) async throws(LogDatabaseError) -> [StoredUsageEvent]
    /// Sums by consumer, service and meter, in that order; `period` and `instance` are not looked at.
    func usageEventSums(_ query: UsageQuery) async throws(LogDatabaseError) -> [UsageEventSum]
    func usageRecord(_ id: RequestID) async throws(LogDatabaseError) -> StoredUsageRecord?
    /// What each instance was seen to do, by service and instance, from the single records: meant for short times.
    func requestActivity(_ query: UsageQuery) async throws(LogDatabaseError) -> [InstanceActivity]
    /// Records that are missing still and that were written, or missed, in the time; the oldest first.
    func recordGaps(from: Timestamp, until: Timestamp, limit: Int) async throws(LogDatabaseError) -> [RecordGap]
    /// Requests of which a second, different record was kept as a conflict in the time; the oldest first.
    func conflictingRequests(from: Timestamp, until: Timestamp, limit: Int)
        async throws(LogDatabaseError) -> [RequestID]
    func auditEvents(_ query: AuditQuery) async throws(LogDatabaseError) -> Page<StoredAuditEvent>
    /// Failed logins by principal and source address, the most first.
    func failedLogins(_ query: AuditQuery, limit: Int) async throws(LogDatabaseError) -> [FailedLogins]
    /// How many logins there were, by service, kind of credential and outcome, in that order; `limit`, `after` and
    /// `newest` are not looked at.
    func loginCounts(_ query: AuditQuery) async throws(LogDatabaseError) -> [LoginCount]
    /// Takes what tells of the person out of each login of a principal (`AuditEvent.withoutPersonalData`), with the
    /// salt; the commitment stays, so that the log is still as it was sealed. Logins that were offered with another
    /// content go with them. All in one transaction with the event of what was done, which must not name the person.
    func eraseLogins(
        of principal: String, commitment: @escaping @Sendable (AuditEvent, _ salt: String) -> String,
        event: @escaping @Sendable (ErasureOutcome) -> PlatformEvent
    ) async throws(LogDatabaseError) -> ErasureOutcome
    /// For the platform's own administration logins, which do not pass the spool. Idempotent by request id.
    func record(_ event: AuditEvent) async throws(LogDatabaseError)

    // MARK: Seals
    /// The sources that have usage records, sorted.
    func usageSources() async throws(LogDatabaseError) -> [String]
    /// The source's records in order of their numbers, but for those that came late (below).
    func usageRecords(
        ofSource source: String, after sequence: UInt64, limit: Int
    ) async throws(LogDatabaseError) -> [StoredUsageRecord]
    /// Records that came after higher numbers of their source, as a spool restored from a backup gives them, in the
    /// order of their arrival: `position` counts them.
    func lateUsageRecords(after position: Int64, limit: Int) async throws(LogDatabaseError) -> [LateUsageRecord]
    /// The resource agent's events in the order in which they were stored: `position` counts them.
    func storedLifecycleEvents(after position: Int64, limit: Int) async throws(LogDatabaseError)
        -> [StoredLifecycleEvent]
    /// The log's seal of the largest size.
    func newestSeal(ofLog log: String) async throws(LogDatabaseError) -> StoredSeal?
    /// The largest seal of each day (in UTC) of the time, in order of size.
    func dailySeals(ofLog log: String, from: Timestamp, until: Timestamp) async throws(LogDatabaseError)
        -> [StoredSeal]
    /// In order of size. `log` is a name that the control plane gives.
    func seals(ofLog log: String) async throws(LogDatabaseError) -> [StoredSeal]
    /// Seals are append-only, as is what they seal.
    func store(_ seal: StoredSeal) async throws(LogDatabaseError)

    // MARK: Bills
    /// Closed bills, the newest month first.
    func bills(_ query: BillQuery) async throws(LogDatabaseError) -> [StoredBill]
    func bill(_ id: String) async throws(LogDatabaseError) -> StoredBill?
    /// In order of time.
    func credits(of consumer: ConsumerID, from: Timestamp, until: Timestamp)
        async throws(LogDatabaseError) -> [Credit]
    func credit(_ id: String) async throws(LogDatabaseError) -> Credit?

    // MARK: Notifications
    /// The newest first, or the oldest; those that come after `after` in this order.
    func notifications(after: NotificationID?, oldestFirst: Bool, limit: Int) async throws(LogDatabaseError)
        -> [StoredNotification]
    /// Deliveries that are due, the oldest first.
    func dueDeliveries(at: Timestamp, limit: Int) async throws(LogDatabaseError) -> [Delivery]
    func finish(_ delivery: Delivery, state: DeliveryState) async throws(LogDatabaseError)

    // MARK: Administration
    func operations(_ query: OperationQuery) async throws(LogDatabaseError) -> [Operation]
    func operation(_ id: OperationID) async throws(LogDatabaseError) -> Operation?
    func administrators() async throws(LogDatabaseError) -> [Administrator]
    func store(_ administrator: Administrator) async throws(LogDatabaseError)
    func removeAdministrator(named name: String) async throws(LogDatabaseError)
    /// Spends a single-use token; false where it has been spent before.
    func spend(token: String, at: Timestamp) async throws(LogDatabaseError) -> Bool
    /// A small named value (the last applied file's digest, the signing key's id, …).
    func setting(_ name: String) async throws(LogDatabaseError) -> String?
    func setSetting(_ name: String, to value: String) async throws(LogDatabaseError)
    /// The answer that an idempotent request was given; nil where the key is new. Kept for 24 hours.
    func storedResponse(idempotencyKey: String) async throws(LogDatabaseError) -> StoredResponse?
    func store(_ response: StoredResponse, idempotencyKey: String) async throws(LogDatabaseError)

    func close() async
}

extension LogDatabase {
    /// Some 15 ms of a database that writes one transaction at a time: no decision waits longer behind a batch.
    public var recordsOfBatch: Int { 8_000 }
}

/// All writes of one decision.
public struct ControlTransaction: Hashable, Sendable {
    public var events: [PlatformEvent] = []
    public var instances: [ServiceInstance] = []
    /// As JSON: the incident's id and its content; the log database does not look inside.
    public var incidents: [StoredIncident] = []
    public var configuration: CloudConfiguration?
    public var ordinals: [ServiceID: Int] = [:]
    public var operations: [Operation] = []
    public var lifecycle: [LifecycleEvent] = []
    /// With the channels that each goes to. One whose id is known already is skipped.
    public var notifications: [AddressedNotification] = []
    /// Closed bills. One whose id, or whose consumer's month, is stored already is skipped: what is closed stays.
    public var bills: [StoredBill] = []
    /// One whose id is known already is skipped.
    public var credits: [Credit] = []
    /// As `setSetting` stores them.
    public var settings: [String: String] = [:]

    public init() {}
}

public struct StoredIncident: Hashable, Sendable {
    public var id: String
    public var open: Bool
    public var json: String

    public init(id: String, open: Bool, json: String) {
        self.id = id
        self.open = open
        self.json = json
    }
}

public struct StoredState: Hashable, Sendable {
    public var configuration: CloudConfiguration?
    public var instances: [ServiceInstance] = []
    /// The open ones.
    public var incidents: [StoredIncident] = []
    public var ordinals: [ServiceID: Int] = [:]
    public var unfinishedOperations: [Operation] = []

    public init() {}
}

public struct AddressedNotification: Hashable, Sendable {
    public var notification: Notification
    public var channels: [NotificationChannel]

    public init(notification: Notification, channels: [NotificationChannel]) {
        self.notification = notification
        self.channels = channels
    }
}

/// One notification on its way to one channel.
public struct Delivery: Hashable, Sendable {
    public var notification: Notification
    public var channel: NotificationChannel
    /// How often it was tried.
    public var attempts: Int

    public init(notification: Notification, channel: NotificationChannel, attempts: Int) {
        self.notification = notification
        self.channel = channel
        self.attempts = attempts
    }
}

public enum DeliveryState: Hashable, Sendable {
    case delivered(at: Timestamp)
    case retry(at: Timestamp, failure: String)
    case givenUp(at: Timestamp, failure: String)
}

public struct StoredNotification: Hashable, Sendable {
    public var notification: Notification
    /// By channel, as text: `delivered`, `pending`, `given-up: why`.
    public var deliveries: [String: String]

    public init(notification: Notification, deliveries: [String: String]) {
        self.notification = notification
        self.deliveries = deliveries
    }
}

public struct EventQuery: Hashable, Sendable {
    public var after: Int64 = 0
    public var service: ServiceID?
    public var instance: InstanceID?
    public var kindPrefix: String?
    public var mechanism: Mechanism?
    /// Only the steps of this run of a mechanism (`TimelineStep.incident`).
    public var incident: String?
    public var from: Timestamp?
    /// Exclusive.
    public var until: Timestamp?
    public var limit: Int = 100
    /// The newest instead of the oldest `limit` events (still in order of position); `next` then leads to older ones.
    public var newest = false
    /// Only those before this position.
    public var before: Int64?

    public init() {}
}

public struct UsageQuery: Hashable, Sendable {
    public var consumer: ConsumerID?
    public var service: ServiceID?
    public var instance: InstanceID?
    public var from: Timestamp?
    /// Exclusive.
    public var until: Timestamp?
    /// The length of the periods that sums are made over, aligned to the epoch; nil: one sum over all.
    public var period: TimeSpan?

    public init() {}
}

/// The monitoring agent's sums.
public struct RequestUsage: Codable, Hashable, Sendable {
    public var consumer: ConsumerID
    public var service: ServiceID
    public var instance: InstanceID?
    /// Nil where the sum is over all time.
    public var periodStart: Timestamp?
    public var requests: Int64
    public var rejected: Int64
    public var failed: Int64
    /// Those that ended before the whole response had moved.
    public var aborted: Int64
    public var bytesIn: Int64
    public var bytesOut: Int64
    public var busyMicroseconds: Int64

    public init(
        consumer: ConsumerID, service: ServiceID, instance: InstanceID?, periodStart: Timestamp?, requests: Int64,
        rejected: Int64, failed: Int64, aborted: Int64 = 0, bytesIn: Int64, bytesOut: Int64, busyMicroseconds: Int64
    ) {
        self.consumer = consumer
        self.service = service
        self.instance = instance
        self.periodStart = periodStart
        self.requests = requests
        self.rejected = rejected
        self.failed = failed
        self.aborted = aborted
        self.bytesIn = bytesIn
        self.bytesOut = bytesOut
        self.busyMicroseconds = busyMicroseconds
    }
}

public struct StoredUsageRecord: Codable, Hashable, Sendable {
    public var record: UsageRecord
    public var source: String
    public var sequence: UInt64
    public var storedAt: Timestamp

    public init(record: UsageRecord, source: String, sequence: UInt64, storedAt: Timestamp) {
        self.record = record
        self.source = source
        self.sequence = sequence
        self.storedAt = storedAt
    }
}

public struct StoredAuditEvent: Codable, Hashable, Sendable {
    public var position: Int64
    public var event: AuditEvent
    public var personal: PersonalDataBinding
    public var storedAt: Timestamp

    public init(position: Int64, event: AuditEvent, personal: PersonalDataBinding, storedAt: Timestamp) {
        self.position = position
        self.event = event
        self.personal = personal
        self.storedAt = storedAt
    }
}

/// What an erasure of a person's logins did.
public struct ErasureOutcome: Codable, Hashable, Sendable {
    /// Logins that tell nothing of the person any more.
    public var erased: Int
    /// Logins that were stored before personal data was bound by commitments: they stay as they are, since what seals
    /// them would not fit any more.
    public var kept: Int

    public init(erased: Int, kept: Int) {
        self.erased = erased
        self.kept = kept
    }
}

public struct AuditQuery: Hashable, Sendable {
    public var after: Int64 = 0
    public var service: ServiceID?
    /// Whose key carried the login request.
    public var consumer: ConsumerID?
    public var principal: String?
    public var sourceAddress: String?
    public var outcome: AuditEvent.Outcome?
    public var from: Timestamp?
    /// Exclusive.
    public var until: Timestamp?
    public var limit: Int = 100
    /// The newest instead of the oldest `limit` events (still in order of position); `next` then leads to older ones.
    public var newest = false
    /// Only those before this position.
    public var before: Int64?

    public init() {}
}

public struct FailedLogins: Codable, Hashable, Sendable {
    public var principal: String
    public var sourceAddress: String
    public var failures: Int
    /// Different secrets tried, told apart by their tags.
    public var distinctCredentials: Int
    public var firstAt: Timestamp
    public var lastAt: Timestamp

    public init(
        principal: String, sourceAddress: String, failures: Int, distinctCredentials: Int, firstAt: Timestamp,
        lastAt: Timestamp
    ) {
        self.principal = principal
        self.sourceAddress = sourceAddress
        self.failures = failures
        self.distinctCredentials = distinctCredentials
        self.firstAt = firstAt
        self.lastAt = lastAt
    }
}

/// Logins of one kind.
public struct LoginCount: Codable, Hashable, Sendable {
    public var service: ServiceID
    public var credentialKind: AuditEvent.CredentialKind
    public var outcome: AuditEvent.Outcome
    public var count: Int

    public init(
        service: ServiceID, credentialKind: AuditEvent.CredentialKind, outcome: AuditEvent.Outcome, count: Int
    ) {
        self.service = service
        self.credentialKind = credentialKind
        self.outcome = outcome
        self.count = count
    }
}

public struct IngestOutcome: Hashable, Sendable {
    public var stored: Int
    public var duplicates: Int
    public var conflicts: Int
    /// Sequence numbers missing before the batch.
    public var gap: UInt64

    public init(stored: Int, duplicates: Int, conflicts: Int, gap: UInt64) {
        self.stored = stored
        self.duplicates = duplicates
        self.conflicts = conflicts
        self.gap = gap
    }
}

/// A person or program that may use the administration API.
public struct Administrator: Codable, Hashable, Sendable {
    public var name: String
    public var role: Role
    /// For the role `consumer`: whom the token speaks for.
    public var consumer: ConsumerID?
    /// SHA-256 of the token, lower-case hex.
    public var tokenDigest: String
    public var createdAt: Timestamp
    public var expiresAt: Timestamp?

    public enum Role: String, Codable, Hashable, Sendable, CaseIterable {
        /// Everything.
        case administrator
        /// Everything but administrators and credentials.
        case `operator`
        /// Reads everything, changes nothing.
        case auditor
        /// Reads what is its consumer's own.
        case consumer
        /// Reports what a service has counted itself, and nothing else: for the token that a service has.
        case reporter
    }

    public init(
        name: String, role: Role, consumer: ConsumerID? = nil, tokenDigest: String, createdAt: Timestamp,
        expiresAt: Timestamp? = nil
    ) {
        self.name = name
        self.role = role
        self.consumer = consumer
        self.tokenDigest = tokenDigest
        self.createdAt = createdAt
        self.expiresAt = expiresAt
    }
}

public struct StoredResponse: Hashable, Sendable {
    /// SHA-256 of method, path and body of the request, to refuse the key's reuse for another request.
    public var requestDigest: String
    public var status: Int
    public var headers: [String: String]
    public var body: [UInt8]
    public var at: Timestamp

    public init(requestDigest: String, status: Int, headers: [String: String], body: [UInt8], at: Timestamp) {
        self.requestDigest = requestDigest
        self.status = status
        self.headers = headers
        self.body = body
        self.at = at
    }
}

public struct Page<Element: Sendable>: Sendable {
    public var elements: [Element]
    /// Give it as `after` to get the next page; nil at the end.
    public var next: Int64?

    public init(elements: [Element], next: Int64?) {
        self.elements = elements
        self.next = next
    }
}

public struct LogDatabaseError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable {
        /// Worth repeating: the database is away or busy.
        case unavailable
        /// The disk is full or the file cannot be written.
        case storage
        /// What is stored cannot be understood.
        case corrupted
        /// The schema is newer than this binary.
        case newerSchema = "newer-schema"
        /// Another control plane holds the lease: what this one decides counts for nothing.
        case superseded
    }

    public var code: Code
    public var message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "\(code.rawValue): \(message)" }
}
