import CloudModel

/// A value of a row, as both log databases hold it.
package enum StoredValue: Hashable, Sendable {
    case null
    case integer(Int64)
    case text(String)
    case bytes([UInt8])
}

/// A table that both log databases have, with the same columns: what moves from one to the other.
package struct LogTable: Hashable, Sendable {
    package struct Column: Hashable, Sendable {
        package enum Kind: Hashable, Sendable {
            case plain
            /// 0 or 1 in SQLite.
            case flag
            /// JSON, which SQLite holds as it is, and PostgreSQL as any other text (`SQLText`).
            case document
        }

        package let name: String
        package let kind: Kind
    }

    package let name: String
    /// The primary key.
    package let key: [String]
    package let columns: [Column]

    private init(_ name: String, key: String = "position", _ columns: String) {
        self.name = name
        self.key = Self.words(key)
        self.columns = Self.words(columns).map { word in
            switch word.last {
            case "?": Column(name: String(word.dropLast()), kind: .flag)
            case "*": Column(name: String(word.dropLast()), kind: .document)
            default: Column(name: word, kind: .plain)
            }
        }
    }

    private static func words(_ text: String) -> [String] { text.split(separator: " ").map(String.init) }

    /// In an order in which what is referred to comes first. `?`: a flag, `*`: a document.
    package static let all: [LogTable] = [
        LogTable("source", key: "id", "id name high_water_mark"),
        LogTable("name", key: "id", "id text"),
        LogTable(
            "platform_event",
            "position at kind service instance consumer actor mechanism incident step summary details*"),
        LogTable(
            "audit_event",
            "position source sequence request_id observer service consumer principal credential_kind credential_tag "
                + "source_address user_agent method path outcome reason status received_at forwarded_at responded_at "
                + "stored_at"),
        LogTable(
            "lifecycle_event",
            "position id inferred? instance incarnation service owner kind at cpu_millicores memory_bytes stored_at"),
        LogTable("heartbeat", key: "instance", "instance at"),
        LogTable(
            "record_gap", "position kind source first_sequence last_sequence records since until stored_at"),
        LogTable(
            "record_conflict", "position kind record_id source sequence stored* offered* stored_at"),
        LogTable(
            "usage_record", key: "source sequence",
            "source sequence request_high request_low consumer service instance outcome status bytes_in bytes_out "
                + "received_at forwarded_at completed_at stored_at"),
        LogTable("usage_late", "position source sequence"),
        LogTable(
            "usage_hour", key: "hour consumer service instance",
            "hour consumer service instance requests rejected failed aborted bytes_in bytes_out busy_microseconds"),
        LogTable(
            "usage_event", "position source id type consumer service meter micro_units at stored_at"),
        LogTable("seal", key: "log size", "log size last_position peaks note at"),
        LogTable(
            "bill", "position id consumer month period_start period_end currency total closed_at content"),
        LogTable("credit", "position id consumer at currency amount reason actor stored_at"),
        LogTable("configuration", key: "id", "id content*"),
        LogTable("instance", key: "id", "id content*"),
        LogTable("incident", key: "id", "id open? content"),
        LogTable("ordinal", key: "service", "service value"),
        LogTable("operation", key: "id", "id state started_at content*"),
        LogTable("notification", "position id content*"),
        LogTable(
            "delivery", key: "notification channel",
            "notification channel* state attempts next_attempt_at ended_at failure"),
        LogTable("administrator", key: "name", "name role consumer token_digest created_at expires_at"),
        LogTable("spent_token", key: "token", "token at"),
        LogTable("setting", key: "name", "name value"),
        LogTable(
            "stored_response", key: "idempotency_key", "idempotency_key request_digest status headers* body at"),
    ]
}

/// What rows come to, in whatever order: equal tables have equal sums.
package struct TableSum: Hashable, Sendable {
    package private(set) var rows: Int64 = 0
    private var sum: UInt64 = 0

    package init() {}

    /// `line`: the row as COPY writes it.
    package mutating func add(_ line: some Sequence<UInt8>) {
        rows += 1
        var hash = FNV1a()
        hash.add(line)
        sum &+= hash.value
    }
}
