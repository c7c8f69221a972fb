public import CloudModel

/// A usage record whose names are UTF-8 bytes that the caller owns: what an event loop appends without making a
/// `String`, an allocation or a reference count. The bytes need to live only as long as the call.
public struct RawUsageRecord {
    public var requestID: RequestID
    public var consumer: UnsafeRawBufferPointer
    public var service: UnsafeRawBufferPointer
    /// Nil where no instance answered.
    public var instance: UnsafeRawBufferPointer?
    public var outcome: RequestOutcome
    public var status: UInt16
    public var bytesIn: UInt64
    public var bytesOut: UInt64
    public var receivedAt: Timestamp
    public var forwardedAt: Timestamp?
    public var completedAt: Timestamp

    @inlinable
    public init(
        requestID: RequestID, consumer: UnsafeRawBufferPointer, service: UnsafeRawBufferPointer,
        instance: UnsafeRawBufferPointer?, outcome: RequestOutcome, status: UInt16, bytesIn: UInt64, bytesOut: UInt64,
        receivedAt: Timestamp, forwardedAt: Timestamp?, completedAt: Timestamp
    ) {
        self.requestID = requestID
        self.consumer = consumer
        self.service = service
        self.instance = instance
        self.outcome = outcome
        self.status = status
        self.bytesIn = bytesIn
        self.bytesOut = bytesOut
        self.receivedAt = receivedAt
        self.forwardedAt = forwardedAt
        self.completedAt = completedAt
    }
}
