package import CloudModel

/// A usage record as numbers, its names replaced by their ids. Counts beyond what a column holds are cut to that.
package struct UsageRow: Sendable {
    package var sequence: Int64
    package var requestHigh: Int64
    package var requestLow: Int64
    package var consumer: Int64
    package var service: Int64
    package var instance: Int64?
    package var outcome: RequestOutcome
    package var status: UInt16
    package var bytesIn: Int64
    package var bytesOut: Int64
    package var receivedAt: Int64
    package var forwardedAt: Int64?
    package var completedAt: Int64
    package var busyMicroseconds: Int64

    package init(
        _ record: borrowing UsageRecord, sequence: UInt64, consumer: Int64, service: Int64, instance: Int64?
    ) {
        self.sequence = Int64(sequence)
        requestHigh = Int64(bitPattern: record.requestID.high)
        requestLow = Int64(bitPattern: record.requestID.low)
        self.consumer = consumer
        self.service = service
        self.instance = instance
        outcome = record.outcome
        status = record.status
        bytesIn = Int64(clamping: record.bytesIn)
        bytesOut = Int64(clamping: record.bytesOut)
        receivedAt = record.receivedAt.microseconds
        forwardedAt = record.forwardedAt?.microseconds
        completedAt = record.completedAt.microseconds
        busyMicroseconds = record.busyTime.microseconds
    }
}
