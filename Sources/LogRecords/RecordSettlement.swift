package import CloudModel
package import CloudPorts

/// The same number, or request, with other content: what is stored stays, what came later is kept beside it.
package struct RecordConflict {
    package var kind: String
    package var id: String
    package var source: String
    package var sequence: UInt64
    package var stored: String
    package var offered: String
}

extension IngestOutcome {
    /// Counts a record whose number, or whose request, is in the books already.
    /// - Parameters:
    ///   - stored: what is there; nil, where neither is after all, is damage.
    ///   - keep: stores a conflict; false where the same one is on record, which then counts as said twice.
    package mutating func settle(
        _ record: SpoolRecord, sequence: UInt64, of source: String, stored: SpoolRecord?,
        keep: (RecordConflict) throws -> Bool
    ) throws {
        guard let stored else {
            throw LogDatabaseError(.corrupted, "record \(sequence) of \(source) is refused and not stored")
        }
        guard !record.isStored(as: stored) else {
            duplicates += 1
            return
        }
        let conflict = RecordConflict(
            kind: record.kindName, id: record.requestIDText, source: source, sequence: sequence,
            stored: try Document.text(stored), offered: try Document.text(record))
        if try keep(conflict) { conflicts += 1 } else { duplicates += 1 }
    }
}

/// Gaps that are not filled: of the numbers that never came, those that came late are taken off.
package enum RecordGapQuery {
    /// Rows of `source_name`, `missing`, `gap_begin` and `gap_end`.
    /// - Parameter place: how the database writes the parameter of that number: 1 is the earliest end, 2 what the
    ///   beginning lies before, 3 the limit.
    package static func sql(_ place: (Int) -> String) -> String {
        """
        SELECT * FROM (
            SELECT source.name AS source_name, coalesce(since, record_gap.stored_at) AS gap_begin,
                coalesce(until, record_gap.stored_at) AS gap_end, record_gap.position AS position,
                records - CASE record_gap.kind WHEN 'lost' THEN 0 ELSE
                    (SELECT count(*) FROM usage_record AS usage WHERE usage.source = record_gap.source
                        AND usage.sequence BETWEEN first_sequence AND last_sequence)
                    + (SELECT count(*) FROM audit_event AS audit WHERE audit.source = record_gap.source
                        AND audit.sequence BETWEEN first_sequence AND last_sequence) END AS missing
            FROM record_gap JOIN source ON source.id = record_gap.source
        ) AS gap WHERE missing > 0 AND gap_end >= \(place(1)) AND gap_begin < \(place(2))
        ORDER BY position LIMIT \(place(3))
        """
    }
}
