public import CloudModel

/// Where spans come from: a bounded store that is filled whether or not anybody takes them.
public protocol SpanSource: Sendable {
    /// Takes the oldest spans out, about `limit` at most. One caller at a time.
    func takeSpans(limit: Int) -> [TraceSpan]
    /// Requests and operations that found no room since the start.
    var dropped: UInt64 { get }
}
