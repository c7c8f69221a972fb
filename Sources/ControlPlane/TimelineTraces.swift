public import CloudModel
public import CloudPorts
public import Logging
import Synchronization

/// Follows the event log and keeps the spans of what it tells, until they are taken. The log waits for nobody here:
/// where nobody takes the spans, the oldest are dropped and counted.
public final class TimelineTraces: SpanSource {
    private struct Kept {
        var spans: [TraceSpan] = []
        var dropped: UInt64 = 0
    }

    private static let mostSpans = 4_096
    private static let pageSize = 500
    /// How often runs that have gone quiet are looked for.
    private static let pause = Duration.seconds(5)

    private let database: any LogDatabase
    private let now: @Sendable () -> Timestamp
    private let logger: Logger
    private let kept = Mutex(Kept())

    public init(database: any LogDatabase, now: @escaping @Sendable () -> Timestamp, logger: Logger) {
        self.database = database
        self.now = now
        self.logger = logger
    }

    public var dropped: UInt64 { kept.withLock { $0.dropped } }

    public func takeSpans(limit: Int) -> [TraceSpan] {
        kept.withLock { kept in
            let taken = Array(kept.spans.prefix(limit))
            kept.spans.removeFirst(taken.count)
            return taken
        }
    }

    /// What happens from now on, until cancelled.
    public func run() async {
        guard var position = try? await database.lastEventPosition() else { return }
        var spans = TimelineSpans()
        while !Task.isCancelled {
            do {
                position = try await follow(after: position, &spans)
            } catch {
                logger.debug("The event log cannot be read for traces", metadata: ["error": "\(error)"])
            }
            keep(spans.expired(at: now()))
            try? await Task.sleep(for: Self.pause)
        }
        // What was told last; the caller is cancelled by now.
        await Task.detached { [self, position, spans] in
            var spans = spans
            _ = try? await follow(after: position, &spans)
            keep(spans.takeRest())
        }.value
    }

    /// Reads what is new; gives back the last position.
    package func follow(after last: Int64, _ spans: inout TimelineSpans) async throws(LogDatabaseError) -> Int64 {
        var query = EventQuery()
        query.after = last
        query.limit = Self.pageSize
        while true {
            let events = try await database.events(query).elements
            for event in events {
                keep(spans.take(event))
                guard event.kind.hasPrefix("operation."), let id = event.details["operation"],
                    let operation = try await database.operation(OperationID(id)), let span = spans.span(of: operation)
                else { continue }
                keep([span])
            }
            query.after = events.last?.position ?? query.after
            if events.count < Self.pageSize { return query.after }
        }
    }

    private func keep(_ spans: [TraceSpan]) {
        guard !spans.isEmpty else { return }
        kept.withLock { kept in
            kept.spans += spans
            let excess = kept.spans.count - Self.mostSpans
            guard excess > 0 else { return }
            kept.spans.removeFirst(excess)
            kept.dropped += UInt64(excess)
        }
    }
}
