public import CloudModel

/// Which operations are asked for: the newest first, or the oldest.
public struct OperationQuery: Hashable, Sendable {
    /// Only those that come after this one in the order that is asked for.
    public var after: OperationID?
    public var oldestFirst = false
    public var limit: Int

    public init(limit: Int = 100) { self.limit = limit }
}

extension LogDatabase {
    /// The newest first.
    public func operations(limit: Int) async throws(LogDatabaseError) -> [Operation] {
        try await operations(OperationQuery(limit: limit))
    }

    /// The newest first.
    public func usageRecords(_ query: UsageQuery, limit: Int) async throws(LogDatabaseError) -> [StoredUsageRecord] {
        try await usageRecords(query, before: nil, limit: limit)
    }

    /// The newest first; those older than `after`.
    public func notifications(after: NotificationID?, limit: Int) async throws(LogDatabaseError)
        -> [StoredNotification]
    { try await notifications(after: after, oldestFirst: false, limit: limit) }
}
