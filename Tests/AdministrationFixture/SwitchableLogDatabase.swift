public import CloudModel
public import CloudPorts
import Synchronization

/// A log database that can be away: while it is switched off, everything fails as when the database does not answer.
public final class SwitchableLogDatabase: LogDatabase {
    private let base: any LogDatabase
    private let isOn = Mutex(true)

    init(_ base: any LogDatabase) { self.base = base }

    public func setAvailable(_ isAvailable: Bool) { isOn.withLock { $0 = isAvailable } }

    private var present: any LogDatabase {
        get throws(LogDatabaseError) {
            guard isOn.withLock({ $0 }) else { throw LogDatabaseError(.unavailable, "switched off") }
            return base
        }
    }

    public func commit(_ transaction: ControlTransaction) async throws(LogDatabaseError) -> Int64 {
        try await present.commit(transaction)
    }
    public func recoveredState() async throws(LogDatabaseError) -> StoredState { try await present.recoveredState() }
    public func events(_ query: EventQuery) async throws(LogDatabaseError) -> Page<PlatformEvent> {
        try await present.events(query)
    }
    public func lastEventPosition() async throws(LogDatabaseError) -> Int64 { try await present.lastEventPosition() }
    public func ingest(_ batch: SpoolBatch) async throws(LogDatabaseError) -> IngestOutcome {
        try await present.ingest(batch)
    }
    public func highWaterMark(ofSource source: String) async throws(LogDatabaseError) -> UInt64? {
        try await present.highWaterMark(ofSource: source)
    }
    public func heartbeat(_ instances: [InstanceID], at: Timestamp) async throws(LogDatabaseError) {
        try await present.heartbeat(instances, at: at)
    }
    public func lastHeartbeats() async throws(LogDatabaseError) -> [InstanceID: Timestamp] {
        try await present.lastHeartbeats()
    }
    public func lifecycleEvents(_ query: UsageQuery) async throws(LogDatabaseError) -> [LifecycleEvent] {
        try await present.lifecycleEvents(query)
    }
    public func requestUsage(_ query: UsageQuery) async throws(LogDatabaseError) -> [RequestUsage] {
        try await present.requestUsage(query)
    }
    public func usageRecords(_ query: UsageQuery, before place: UsageRecordPlace?, limit: Int)
        async throws(LogDatabaseError) -> [StoredUsageRecord]
    { try await present.usageRecords(query, before: place, limit: limit) }
    public func usageRecords(_ query: UsageQuery, after place: UsageRecordPlace?, limit: Int)
        async throws(LogDatabaseError) -> [StoredUsageRecord]
    { try await present.usageRecords(query, after: place, limit: limit) }
    public func ingest(_ events: [UsageEvent]) async throws(LogDatabaseError) -> UsageEventOutcome {
        try await present.ingest(events)
    }
    public func usageEvents(after position: Int64, limit: Int) async throws(LogDatabaseError) -> [StoredUsageEvent] {
        try await present.usageEvents(after: position, limit: limit)
    }
    public func usageEventSums(_ query: UsageQuery) async throws(LogDatabaseError) -> [UsageEventSum] {
        try await present.usageEventSums(query)
    }
    public func usageRecord(_ id: RequestID) async throws(LogDatabaseError) -> StoredUsageRecord? {
        try await present.usageRecord(id)
    }
    public func requestActivity(_ query: UsageQuery) async throws(LogDatabaseError) -> [InstanceActivity] {
        try await present.requestActivity(query)
    }
    public func recordGaps(from: Timestamp, until: Timestamp, limit: Int) async throws(LogDatabaseError)
        -> [RecordGap]
    { try await present.recordGaps(from: from, until: until, limit: limit) }
    public func conflictingRequests(from: Timestamp, until: Timestamp, limit: Int) async throws(LogDatabaseError)
        -> [RequestID]
    { try await present.conflictingRequests(from: from, until: until, limit: limit) }
    public func bills(_ query: BillQuery) async throws(LogDatabaseError) -> [StoredBill] {
        try await present.bills(query)
    }
    public func bill(_ id: String) async throws(LogDatabaseError) -> StoredBill? { try await present.bill(id) }
    public func credits(of consumer: ConsumerID, from: Timestamp, until: Timestamp) async throws(LogDatabaseError)
        -> [Credit]
    { try await present.credits(of: consumer, from: from, until: until) }
    public func credit(_ id: String) async throws(LogDatabaseError) -> Credit? { try await present.credit(id) }
    public func auditEvents(_ query: AuditQuery) async throws(LogDatabaseError) -> Page<StoredAuditEvent> {
        try await present.auditEvents(query)
    }
    public func failedLogins(_ query: AuditQuery, limit: Int) async throws(LogDatabaseError) -> [FailedLogins] {
        try await present.failedLogins(query, limit: limit)
    }
    public func loginCounts(_ query: AuditQuery) async throws(LogDatabaseError) -> [LoginCount] {
        try await present.loginCounts(query)
    }
    public func eraseLogins(
        of principal: String, commitment: @escaping @Sendable (AuditEvent, _ salt: String) -> String,
        event: @escaping @Sendable (ErasureOutcome) -> PlatformEvent
    ) async throws(LogDatabaseError) -> ErasureOutcome {
        try await present.eraseLogins(of: principal, commitment: commitment, event: event)
    }
    public func usageSources() async throws(LogDatabaseError) -> [String] { try await present.usageSources() }
    public func usageRecords(
        ofSource source: String, after sequence: UInt64, limit: Int
    ) async throws(LogDatabaseError) -> [StoredUsageRecord] {
        try await present.usageRecords(ofSource: source, after: sequence, limit: limit)
    }
    public func lateUsageRecords(
        after position: Int64, limit: Int
    ) async throws(LogDatabaseError) -> [LateUsageRecord] {
        try await present.lateUsageRecords(after: position, limit: limit)
    }
    public func storedLifecycleEvents(after position: Int64, limit: Int) async throws(LogDatabaseError)
        -> [StoredLifecycleEvent]
    { try await present.storedLifecycleEvents(after: position, limit: limit) }
    public func newestSeal(ofLog log: String) async throws(LogDatabaseError) -> StoredSeal? {
        try await present.newestSeal(ofLog: log)
    }
    public func dailySeals(ofLog log: String, from: Timestamp, until: Timestamp) async throws(LogDatabaseError)
        -> [StoredSeal]
    { try await present.dailySeals(ofLog: log, from: from, until: until) }
    public func seals(ofLog log: String) async throws(LogDatabaseError) -> [StoredSeal] {
        try await present.seals(ofLog: log)
    }
    public func store(_ seal: StoredSeal) async throws(LogDatabaseError) { try await present.store(seal) }
    public func record(_ event: AuditEvent) async throws(LogDatabaseError) { try await present.record(event) }
    public func notifications(after: NotificationID?, oldestFirst: Bool, limit: Int) async throws(LogDatabaseError)
        -> [StoredNotification]
    { try await present.notifications(after: after, oldestFirst: oldestFirst, limit: limit) }
    public func dueDeliveries(at: Timestamp, limit: Int) async throws(LogDatabaseError) -> [Delivery] {
        try await present.dueDeliveries(at: at, limit: limit)
    }
    public func finish(_ delivery: Delivery, state: DeliveryState) async throws(LogDatabaseError) {
        try await present.finish(delivery, state: state)
    }
    public func operations(_ query: OperationQuery) async throws(LogDatabaseError) -> [Operation] {
        try await present.operations(query)
    }
    public func operation(_ id: OperationID) async throws(LogDatabaseError) -> Operation? {
        try await present.operation(id)
    }
    public func administrators() async throws(LogDatabaseError) -> [Administrator] {
        try await present.administrators()
    }
    public func store(_ administrator: Administrator) async throws(LogDatabaseError) {
        try await present.store(administrator)
    }
    public func removeAdministrator(named name: String) async throws(LogDatabaseError) {
        try await present.removeAdministrator(named: name)
    }
    public func spend(token: String, at: Timestamp) async throws(LogDatabaseError) -> Bool {
        try await present.spend(token: token, at: at)
    }
    public func setting(_ name: String) async throws(LogDatabaseError) -> String? { try await present.setting(name) }
    public func setSetting(_ name: String, to value: String) async throws(LogDatabaseError) {
        try await present.setSetting(name, to: value)
    }
    public func storedResponse(idempotencyKey: String) async throws(LogDatabaseError) -> StoredResponse? {
        try await present.storedResponse(idempotencyKey: idempotencyKey)
    }
    public func store(_ response: StoredResponse, idempotencyKey: String) async throws(LogDatabaseError) {
        try await present.store(response, idempotencyKey: idempotencyKey)
    }
    public func close() async { await base.close() }
}
