package import CloudModel

extension SpoolRecord {
    package var kindName: String {
        switch self {
        case .usage: "usage"
        case .audit: "audit"
        case .lost: "lost"
        }
    }

    package var requestIDText: String {
        switch self {
        case .usage(let usage): usage.requestID.description
        case .audit(let event): event.requestID.description
        case .lost: ""
        }
    }

    /// As it reads back: counts beyond what a column holds (2^63 - 1) are cut to that.
    package var storable: SpoolRecord {
        switch self {
        case .usage(var usage):
            usage.bytesIn = min(usage.bytesIn, UInt64(Int64.max))
            usage.bytesOut = min(usage.bytesOut, UInt64(Int64.max))
            return .usage(usage)
        case .audit: return self
        case .lost(let count, let since, let until):
            return .lost(count: min(count, UInt64(Int64.max)), since: since, until: until)
        }
    }
}
