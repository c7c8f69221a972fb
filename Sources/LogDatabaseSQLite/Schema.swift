import GRDB

/// The schema, one migration for each version that was ever released. A released migration is never changed: a golden
/// dump of every version is migrated to the newest in the tests.
enum Schema {
    /// "CWLD": marks the file as a Cloudwright log database (https://www.sqlite.org/pragma.html#pragma_application_id).
    static let applicationID = 0x4357_4C44
    static let version = 5

    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { database in
            try database.execute(sql: "PRAGMA application_id = \(applicationID)")
            try database.execute(sql: books)
            try database.execute(sql: usage)
            try database.execute(sql: control)
            for table in firstAppendOnlyTables { try database.execute(sql: appendOnly(table)) }
        }
        migrator.registerMigration("2") { database in
            try database.execute(sql: seals)
            for table in ["usage_late", "seal"] { try database.execute(sql: appendOnly(table)) }
        }
        migrator.registerMigration("3") { database in
            try database.execute(sql: bills)
            for table in ["bill", "credit"] { try database.execute(sql: appendOnly(table)) }
        }
        migrator.registerMigration("4") { database in
            try database.execute(sql: usageEvents)
            try database.execute(sql: appendOnly("usage_event"))
        }
        migrator.registerMigration("5") { database in try database.execute(sql: erasure) }
        return migrator
    }

    private static let firstAppendOnlyTables = [
        "platform_event", "usage_record", "audit_event", "lifecycle_event", "record_gap", "record_conflict",
    ]

    private static func appendOnly(_ table: String) -> String {
        """
        CREATE TRIGGER \(table)_no_update BEFORE UPDATE ON \(table)
        BEGIN SELECT RAISE(ABORT, '\(table) is append-only'); END;
        CREATE TRIGGER \(table)_no_delete BEFORE DELETE ON \(table)
        BEGIN SELECT RAISE(ABORT, '\(table) is append-only'); END;
        """
    }

    /// Times are microseconds since 1970 in UTC.
    private static let books = """
        CREATE TABLE platform_event (
            position INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, service TEXT, instance TEXT,
            consumer TEXT, actor TEXT NOT NULL, mechanism TEXT, incident TEXT, step TEXT, summary TEXT NOT NULL,
            details TEXT NOT NULL
        ) STRICT;
        CREATE INDEX platform_event_at ON platform_event (at);
        CREATE INDEX platform_event_service ON platform_event (service);
        CREATE INDEX platform_event_instance ON platform_event (instance) WHERE instance IS NOT NULL;
        CREATE INDEX platform_event_incident ON platform_event (incident) WHERE incident IS NOT NULL;

        CREATE TABLE source (
            id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, high_water_mark INTEGER NOT NULL
        ) STRICT;

        CREATE TABLE audit_event (
            position INTEGER PRIMARY KEY, source INTEGER REFERENCES source, sequence INTEGER,
            request_id TEXT NOT NULL UNIQUE, observer TEXT NOT NULL, service TEXT NOT NULL, consumer TEXT,
            principal TEXT NOT NULL, credential_kind TEXT NOT NULL, credential_tag TEXT, source_address TEXT NOT NULL,
            user_agent TEXT NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL, outcome TEXT NOT NULL,
            reason TEXT NOT NULL, status INTEGER NOT NULL, received_at INTEGER NOT NULL, forwarded_at INTEGER,
            responded_at INTEGER NOT NULL, stored_at INTEGER NOT NULL, UNIQUE (source, sequence)
        ) STRICT;
        CREATE INDEX audit_event_received ON audit_event (received_at);
        CREATE INDEX audit_event_outcome ON audit_event (outcome, received_at);
        CREATE INDEX audit_event_principal ON audit_event (principal);
        CREATE INDEX audit_event_address ON audit_event (source_address);

        CREATE TABLE lifecycle_event (
            position INTEGER PRIMARY KEY, id TEXT NOT NULL, inferred INTEGER NOT NULL, instance TEXT NOT NULL,
            incarnation INTEGER NOT NULL, service TEXT NOT NULL, owner TEXT, kind TEXT NOT NULL, at INTEGER NOT NULL,
            cpu_millicores INTEGER, memory_bytes INTEGER, stored_at INTEGER NOT NULL, UNIQUE (id, inferred)
        ) STRICT;
        CREATE INDEX lifecycle_event_instance ON lifecycle_event (service, instance, incarnation, at);
        CREATE INDEX lifecycle_event_at ON lifecycle_event (at);

        CREATE TABLE heartbeat (instance TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;

        -- kind 'missing': the numbers never came; 'lost': the writer could not keep so many records.
        CREATE TABLE record_gap (
            position INTEGER PRIMARY KEY, kind TEXT NOT NULL, source INTEGER NOT NULL REFERENCES source,
            first_sequence INTEGER NOT NULL, last_sequence INTEGER NOT NULL, records INTEGER NOT NULL,
            since INTEGER, until INTEGER, stored_at INTEGER NOT NULL
        ) STRICT;
        CREATE INDEX record_gap_source ON record_gap (source, first_sequence);

        -- The same id or number with other content: what is stored stays, what came later is kept here.
        CREATE TABLE record_conflict (
            position INTEGER PRIMARY KEY, kind TEXT NOT NULL, record_id TEXT NOT NULL, source TEXT NOT NULL,
            sequence INTEGER NOT NULL, stored TEXT NOT NULL, offered TEXT NOT NULL, stored_at INTEGER NOT NULL,
            UNIQUE (record_id, source, sequence, offered)
        ) STRICT;
        """

    private static let seals = """
        -- Numbers of usage records that came after higher ones of their source.
        CREATE TABLE usage_late (
            position INTEGER PRIMARY KEY, source INTEGER NOT NULL REFERENCES source, sequence INTEGER NOT NULL,
            UNIQUE (source, sequence)
        ) STRICT;

        CREATE TABLE seal (
            log TEXT NOT NULL, size INTEGER NOT NULL, last_position INTEGER NOT NULL, peaks BLOB NOT NULL,
            note TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (log, size)
        ) STRICT, WITHOUT ROWID;
        """

    private static let usage = """
        -- Consumers, services and instances of usage records.
        CREATE TABLE name (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;

        CREATE TABLE usage_record (
            source INTEGER NOT NULL REFERENCES source, sequence INTEGER NOT NULL, request_high INTEGER NOT NULL,
            request_low INTEGER NOT NULL, consumer INTEGER NOT NULL REFERENCES name,
            service INTEGER NOT NULL REFERENCES name, instance INTEGER REFERENCES name, outcome INTEGER NOT NULL,
            status INTEGER NOT NULL, bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL,
            received_at INTEGER NOT NULL, forwarded_at INTEGER, completed_at INTEGER NOT NULL,
            stored_at INTEGER NOT NULL, PRIMARY KEY (source, sequence)
        ) STRICT, WITHOUT ROWID;
        CREATE UNIQUE INDEX usage_record_request ON usage_record (request_high, request_low);
        CREATE INDEX usage_record_completed ON usage_record (completed_at);

        -- Sums of usage_record by the hour in which the request was completed, kept in the transaction that stores the
        -- records. Instance 0: none.
        CREATE TABLE usage_hour (
            hour INTEGER NOT NULL, consumer INTEGER NOT NULL, service INTEGER NOT NULL, instance INTEGER NOT NULL,
            requests INTEGER NOT NULL, rejected INTEGER NOT NULL, failed INTEGER NOT NULL, bytes_in INTEGER NOT NULL,
            bytes_out INTEGER NOT NULL, busy_microseconds INTEGER NOT NULL,
            PRIMARY KEY (hour, consumer, service, instance)
        ) STRICT, WITHOUT ROWID;

        CREATE VIEW usage AS
        SELECT source.name AS source, sequence, printf('%016x%016x', request_high, request_low) AS request_id,
            consumer.text AS consumer, service.text AS service, instance.text AS instance, outcome, status, bytes_in,
            bytes_out, received_at, forwarded_at, completed_at, stored_at
        FROM usage_record
        JOIN source ON source.id = usage_record.source
        JOIN name AS consumer ON consumer.id = usage_record.consumer
        JOIN name AS service ON service.id = usage_record.service
        LEFT JOIN name AS instance ON instance.id = usage_record.instance;
        """

    /// Bills; and which requests of an hour were aborted.
    private static let bills = """
        CREATE TABLE bill (
            position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, consumer TEXT NOT NULL, month TEXT NOT NULL,
            period_start INTEGER NOT NULL, period_end INTEGER NOT NULL, currency TEXT NOT NULL, total INTEGER NOT NULL,
            closed_at INTEGER NOT NULL, content TEXT NOT NULL, UNIQUE (consumer, month)
        ) STRICT;
        CREATE INDEX bill_period ON bill (period_start);
        CREATE TABLE credit (
            position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, consumer TEXT NOT NULL, at INTEGER NOT NULL,
            currency TEXT NOT NULL, amount INTEGER NOT NULL, reason TEXT NOT NULL, actor TEXT NOT NULL,
            stored_at INTEGER NOT NULL
        ) STRICT;
        CREATE INDEX credit_consumer ON credit (consumer, at);
        CREATE INDEX record_conflict_stored ON record_conflict (kind, stored_at);

        ALTER TABLE usage_hour ADD COLUMN aborted INTEGER NOT NULL DEFAULT 0;
        UPDATE usage_hour SET aborted = sums.aborted FROM (
            SELECT completed_at - ((completed_at % 3600000000) + 3600000000) % 3600000000 AS hour, consumer, service,
                coalesce(instance, 0) AS instance, count(*) AS aborted
            FROM usage_record WHERE outcome IN (1, 2) GROUP BY 1, 2, 3, 4
        ) AS sums
        WHERE usage_hour.hour = sums.hour AND usage_hour.consumer = sums.consumer
            AND usage_hour.service = sums.service AND usage_hour.instance = sums.instance;
        """

    /// What services have counted themselves, in millionths of a unit.
    private static let usageEvents = """
        CREATE TABLE usage_event (
            position INTEGER PRIMARY KEY, source TEXT NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL,
            consumer TEXT NOT NULL, service TEXT NOT NULL, meter TEXT NOT NULL, micro_units INTEGER NOT NULL,
            at INTEGER NOT NULL, stored_at INTEGER NOT NULL, UNIQUE (source, id)
        ) STRICT;
        CREATE INDEX usage_event_consumer ON usage_event (consumer, at);
        """

    /// Personal data of logins can be erased, and nothing else be done to them.
    private static let erasure = """
        ALTER TABLE audit_event ADD COLUMN salt TEXT;
        ALTER TABLE audit_event ADD COLUMN commitment TEXT;
        DROP TRIGGER audit_event_no_update;
        CREATE TRIGGER audit_event_no_update BEFORE UPDATE ON audit_event
        WHEN NOT (OLD.salt IS NOT NULL AND NEW.salt IS NULL AND NEW.commitment IS NOT NULL
            AND NEW.principal = '' AND NEW.credential_tag IS NULL AND NEW.source_address = '' AND NEW.user_agent = ''
            AND NEW.path = '' AND NEW.position = OLD.position AND NEW.source IS OLD.source
            AND NEW.sequence IS OLD.sequence AND NEW.request_id = OLD.request_id AND NEW.observer = OLD.observer
            AND NEW.service = OLD.service AND NEW.consumer IS OLD.consumer
            AND NEW.credential_kind = OLD.credential_kind AND NEW.method = OLD.method AND NEW.outcome = OLD.outcome
            AND NEW.reason = OLD.reason AND NEW.status = OLD.status AND NEW.received_at = OLD.received_at
            AND NEW.forwarded_at IS OLD.forwarded_at AND NEW.responded_at = OLD.responded_at
            AND NEW.stored_at = OLD.stored_at)
        BEGIN SELECT RAISE(ABORT, 'audit_event is append-only'); END;
        DROP TRIGGER record_conflict_no_delete;
        CREATE TRIGGER record_conflict_no_delete BEFORE DELETE ON record_conflict
        WHEN NOT EXISTS (SELECT 1 FROM audit_event
            WHERE OLD.kind = 'audit' AND request_id = OLD.record_id AND commitment IS NOT NULL)
        BEGIN SELECT RAISE(ABORT, 'record_conflict is append-only'); END;
        """

    private static let control = """
        CREATE TABLE configuration (id INTEGER PRIMARY KEY CHECK (id = 1), content TEXT NOT NULL) STRICT;
        CREATE TABLE instance (id TEXT PRIMARY KEY, content TEXT NOT NULL) STRICT, WITHOUT ROWID;
        CREATE TABLE incident (id TEXT PRIMARY KEY, open INTEGER NOT NULL, content TEXT NOT NULL) STRICT, WITHOUT ROWID;
        CREATE INDEX incident_open ON incident (open) WHERE open = 1;
        CREATE TABLE ordinal (service TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
        CREATE TABLE operation (
            id TEXT PRIMARY KEY, state TEXT NOT NULL, started_at INTEGER NOT NULL, content TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX operation_started ON operation (started_at);
        CREATE INDEX operation_running ON operation (state) WHERE state = 'running';

        CREATE TABLE notification (
            position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, content TEXT NOT NULL
        ) STRICT;
        CREATE TABLE delivery (
            notification INTEGER NOT NULL REFERENCES notification, channel TEXT NOT NULL, state TEXT NOT NULL,
            attempts INTEGER NOT NULL, next_attempt_at INTEGER NOT NULL, ended_at INTEGER, failure TEXT,
            PRIMARY KEY (notification, channel)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX delivery_due ON delivery (next_attempt_at) WHERE state = 'pending';

        CREATE TABLE administrator (
            name TEXT PRIMARY KEY, role TEXT NOT NULL, consumer TEXT, token_digest TEXT NOT NULL,
            created_at INTEGER NOT NULL, expires_at INTEGER
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE spent_token (token TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
        CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
        CREATE TABLE stored_response (
            idempotency_key TEXT PRIMARY KEY, request_digest TEXT NOT NULL, status INTEGER NOT NULL,
            headers TEXT NOT NULL, body BLOB NOT NULL, at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX stored_response_at ON stored_response (at);
        """
}
