package import CloudModel
package import CloudPorts

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

    /// Whether a stored record is this one, also where its personal data was erased since.
    package func isStored(as stored: SpoolRecord) -> Bool {
        if stored == storable { return true }
        guard case .audit(let event) = self else { return false }
        return stored == .audit(event.withoutPersonalData)
    }
}

extension SpoolBatch {
    /// The number of the last record; a batch without records has none.
    package var lastSequence: UInt64 { firstSequence + UInt64(records.count) - 1 }

    /// Refuses numbers that no source gives, or that no column holds.
    package func checkNumbers() throws(LogDatabaseError) {
        guard firstSequence >= 1, firstSequence < UInt64(Int64.max) - UInt64(records.count) else {
            throw LogDatabaseError(
                .corrupted, "a batch of \(source) begins at number \(firstSequence); numbers begin at 1")
        }
    }
}

extension AuditEvent {
    /// 256 random bits as 64 hex digits, for the commitment to one login's personal data.
    package static func newSalt() -> String {
        (0..<4).map { _ in
            let text = String(UInt64.random(in: 0...UInt64.max), radix: 16)
            return String(repeating: "0", count: 16 - text.count) + text
        }.joined()
    }
}

extension PersonalDataBinding {
    /// From what is stored with a login.
    package init(salt: String?, commitment: String?) {
        if let salt {
            self = .salted(salt)
        } else if let commitment {
            self = .erased(commitment: commitment)
        } else {
            self = .direct
        }
    }
}
