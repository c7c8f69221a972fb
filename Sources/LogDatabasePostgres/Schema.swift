/// The schema, one migration for each version that was ever released. A released migration is never changed.
///
/// Times are microseconds since 1970 in UTC. Text is compared byte by byte (`COLLATE "C"`), whatever the database's
/// locale is: orders and ranges are part of the port's contract.
enum Schema {
    static let version = 1

    /// By the version that it leads to.
    static let migrations: [(version: Int, sql: String)] = [
        (
            1,
            positions + books + usage + bills + control + appendOnlyFunction + appendOnlyTables.map(appendOnly).joined()
        )
    ]

    private static let appendOnlyTables = [
        "platform_event", "usage_record", "audit_event", "lifecycle_event", "record_gap", "record_conflict",
        "usage_late", "seal", "bill", "credit", "usage_event",
    ]

    private static let appendOnlyFunction = """
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$;
        """

    private static func appendOnly(_ table: String) -> String {
        """
        CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON \(table)
            FOR EACH ROW EXECUTE FUNCTION refuse_change();
        CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON \(table)
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

        """
    }

    /// Positions are given under the lock of a row, so that they have no gaps and become visible in their order:
    /// neither holds for sequences, and whoever reads on from a position would miss what became visible late.
    private static let positions = """
        CREATE TABLE log_position (log text COLLATE "C" PRIMARY KEY, last bigint NOT NULL) WITH (fillfactor = 10);
        INSERT INTO log_position SELECT log, 0 FROM unnest(ARRAY['platform_event', 'audit_event', 'lifecycle_event',
            'usage_event', 'usage_record']) AS log;

        """

    private static let books = """
        CREATE TABLE platform_event (
            position bigint PRIMARY KEY, at bigint NOT NULL, kind text COLLATE "C" NOT NULL, service text COLLATE "C",
            instance text COLLATE "C", consumer text COLLATE "C", actor text COLLATE "C" NOT NULL,
            mechanism text COLLATE "C", incident text COLLATE "C", step text COLLATE "C", summary text NOT NULL,
            details text NOT NULL
        );
        CREATE INDEX platform_event_at ON platform_event (at);
        CREATE INDEX platform_event_service ON platform_event (service, position);
        CREATE INDEX platform_event_instance ON platform_event (instance, position) WHERE instance IS NOT NULL;
        CREATE INDEX platform_event_incident ON platform_event (incident, position) WHERE incident IS NOT NULL;

        CREATE TABLE source (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text COLLATE "C" NOT NULL UNIQUE,
            high_water_mark bigint NOT NULL
        );

        CREATE TABLE audit_event (
            position bigint PRIMARY KEY, source bigint REFERENCES source, sequence bigint,
            request_id text COLLATE "C" NOT NULL UNIQUE, observer text COLLATE "C" NOT NULL,
            service text COLLATE "C" NOT NULL, consumer text COLLATE "C", principal text COLLATE "C" NOT NULL,
            credential_kind text COLLATE "C" NOT NULL, credential_tag text COLLATE "C",
            source_address text COLLATE "C" NOT NULL, user_agent text NOT NULL, method text NOT NULL,
            path text NOT NULL, outcome text COLLATE "C" NOT NULL, reason text NOT NULL, status integer NOT NULL,
            received_at bigint NOT NULL, forwarded_at bigint, responded_at bigint NOT NULL, stored_at bigint NOT NULL,
            UNIQUE (source, sequence)
        );
        CREATE INDEX audit_event_received ON audit_event (received_at);
        CREATE INDEX audit_event_outcome ON audit_event (outcome, received_at);
        -- What consumers send may be longer than a row of an index can be.
        CREATE INDEX audit_event_principal ON audit_event (md5(principal));
        CREATE INDEX audit_event_address ON audit_event (md5(source_address));

        CREATE TABLE lifecycle_event (
            position bigint PRIMARY KEY, id text COLLATE "C" NOT NULL, inferred boolean NOT NULL,
            instance text COLLATE "C" NOT NULL, incarnation bigint NOT NULL, service text COLLATE "C" NOT NULL,
            owner text COLLATE "C", kind text COLLATE "C" NOT NULL, at bigint NOT NULL, cpu_millicores bigint,
            memory_bytes bigint, stored_at bigint NOT NULL, UNIQUE (id, inferred)
        );
        CREATE INDEX lifecycle_event_instance ON lifecycle_event (service, instance, incarnation, at);
        CREATE INDEX lifecycle_event_at ON lifecycle_event (at);

        CREATE TABLE heartbeat (instance text COLLATE "C" PRIMARY KEY, at bigint NOT NULL);

        -- kind 'missing': the numbers never came; 'lost': the writer could not keep so many records.
        CREATE TABLE record_gap (
            position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, kind text COLLATE "C" NOT NULL,
            source bigint NOT NULL REFERENCES source, first_sequence bigint NOT NULL, last_sequence bigint NOT NULL,
            records bigint NOT NULL, since bigint, until bigint, stored_at bigint NOT NULL
        );
        CREATE INDEX record_gap_source ON record_gap (source, first_sequence);

        -- The same id or number with other content: what is stored stays, what came later is kept here.
        CREATE TABLE record_conflict (
            position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, kind text COLLATE "C" NOT NULL,
            record_id text COLLATE "C" NOT NULL, source text COLLATE "C" NOT NULL, sequence bigint NOT NULL,
            stored text NOT NULL, offered text NOT NULL, stored_at bigint NOT NULL
        );
        -- What was offered may be longer than a row of an index can be.
        CREATE UNIQUE INDEX record_conflict_offered ON record_conflict (md5(record_id), source, sequence, md5(offered));
        CREATE INDEX record_conflict_stored ON record_conflict (kind, stored_at);

        -- What services have counted themselves, in millionths of a unit.
        CREATE TABLE usage_event (
            position bigint PRIMARY KEY, source text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL,
            type text NOT NULL, consumer text COLLATE "C" NOT NULL, service text COLLATE "C" NOT NULL,
            meter text COLLATE "C" NOT NULL, micro_units bigint NOT NULL, at bigint NOT NULL, stored_at bigint NOT NULL,
            UNIQUE (source, id)
        );
        CREATE INDEX usage_event_consumer ON usage_event (consumer, at);

        CREATE TABLE seal (
            log text COLLATE "C" NOT NULL, size bigint NOT NULL, last_position bigint NOT NULL, peaks bytea NOT NULL,
            note text NOT NULL, at bigint NOT NULL, PRIMARY KEY (log, size)
        );

        """

    /// The usage records have no foreign keys: checking four of them costs more than storing the record, and the ids
    /// are looked up in the same transaction.
    private static let usage = """
        -- Consumers, services and instances of usage records.
        CREATE TABLE name (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text COLLATE "C" NOT NULL UNIQUE
        );

        CREATE TABLE usage_record (
            source bigint NOT NULL, sequence bigint NOT NULL, request_high bigint NOT NULL, request_low bigint NOT NULL,
            consumer bigint NOT NULL, service bigint NOT NULL, instance bigint, outcome smallint NOT NULL,
            status integer NOT NULL, bytes_in bigint NOT NULL, bytes_out bigint NOT NULL, received_at bigint NOT NULL,
            forwarded_at bigint, completed_at bigint NOT NULL, stored_at bigint NOT NULL
        ) PARTITION BY RANGE (completed_at);
        -- Times that no month has a partition for. The constraint spares the search through it for a new one's rows.
        CREATE TABLE usage_record_other (LIKE usage_record, CHECK (
            completed_at < \(UsageMonth.firstMicrosecond) OR completed_at >= \(UsageMonth.lastMicrosecond)));
        \(usageKeys(of: "usage_record_other"))
        ALTER TABLE usage_record ATTACH PARTITION usage_record_other DEFAULT;

        -- Numbers of usage records that came after higher ones of their source.
        CREATE TABLE usage_late (
            position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, source bigint NOT NULL REFERENCES source,
            sequence bigint NOT NULL, UNIQUE (source, sequence)
        );

        -- Sums of usage_record by the hour in which the request was completed, kept in the transaction that stores the
        -- records. Instance 0: none.
        CREATE TABLE usage_hour (
            hour bigint NOT NULL, consumer bigint NOT NULL, service bigint NOT NULL, instance bigint NOT NULL,
            requests bigint NOT NULL, rejected bigint NOT NULL, failed bigint NOT NULL, aborted bigint NOT NULL,
            bytes_in bigint NOT NULL, bytes_out bigint NOT NULL, busy_microseconds bigint NOT NULL,
            PRIMARY KEY (hour, consumer, service, instance)
        ) WITH (fillfactor = 70);

        CREATE VIEW usage AS
        SELECT source.name AS source, sequence,
            lpad(to_hex(request_high), 16, '0') || lpad(to_hex(request_low), 16, '0') AS request_id,
            consumer.text AS consumer, service.text AS service, instance.text AS instance, outcome, status, bytes_in,
            bytes_out, received_at, forwarded_at, completed_at, stored_at
        FROM usage_record
        JOIN source ON source.id = usage_record.source
        JOIN name AS consumer ON consumer.id = usage_record.consumer
        JOIN name AS service ON service.id = usage_record.service
        LEFT JOIN name AS instance ON instance.id = usage_record.instance;

        """

    /// Keys of a partition. A key over all partitions would have to hold the time; that a number, or a request, is not
    /// in another partition is looked up under the lock that ingestion takes.
    static func usageKeys(of table: String) -> String {
        """
        ALTER TABLE \(table) ADD PRIMARY KEY (source, sequence);
        CREATE UNIQUE INDEX \(table)_request ON \(table) (request_high, request_low);
        CREATE INDEX \(table)_completed ON \(table) (completed_at);
        """
    }

    private static let bills = """
        CREATE TABLE bill (
            position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text COLLATE "C" NOT NULL UNIQUE,
            consumer text COLLATE "C" NOT NULL, month text COLLATE "C" NOT NULL, period_start bigint NOT NULL,
            period_end bigint NOT NULL, currency text COLLATE "C" NOT NULL, total bigint NOT NULL,
            closed_at bigint NOT NULL, content text NOT NULL, UNIQUE (consumer, month)
        );
        CREATE INDEX bill_period ON bill (period_start);
        CREATE TABLE credit (
            position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text COLLATE "C" NOT NULL UNIQUE,
            consumer text COLLATE "C" NOT NULL, at bigint NOT NULL, currency text COLLATE "C" NOT NULL,
            amount bigint NOT NULL, reason text NOT NULL, actor text NOT NULL, stored_at bigint NOT NULL
        );
        CREATE INDEX credit_consumer ON credit (consumer, at);

        """

    private static let control = """
        -- Which decisions were stored: whoever lost the connection while one was committed asks here.
        CREATE TABLE control_commit (
            token text COLLATE "C" PRIMARY KEY, position bigint NOT NULL, epoch bigint NOT NULL, at bigint NOT NULL
        );
        CREATE INDEX control_commit_at ON control_commit (at);

        -- Which of several control planes decides.
        CREATE TABLE control_lease (
            id integer PRIMARY KEY CHECK (id = 1), epoch bigint NOT NULL, holder text NOT NULL,
            expires_at bigint NOT NULL
        );
        INSERT INTO control_lease VALUES (1, 0, '', 0);

        CREATE TABLE configuration (id integer PRIMARY KEY CHECK (id = 1), content text NOT NULL);
        CREATE TABLE instance (id text COLLATE "C" PRIMARY KEY, content text NOT NULL);
        CREATE TABLE incident (id text COLLATE "C" PRIMARY KEY, open boolean NOT NULL, content text NOT NULL);
        CREATE INDEX incident_open ON incident (id) WHERE open;
        CREATE TABLE ordinal (service text COLLATE "C" PRIMARY KEY, value bigint NOT NULL);
        CREATE TABLE operation (
            id text COLLATE "C" PRIMARY KEY, state text COLLATE "C" NOT NULL, started_at bigint NOT NULL,
            content text NOT NULL
        );
        CREATE INDEX operation_started ON operation (started_at, id);
        CREATE INDEX operation_running ON operation (started_at) WHERE state = 'running';

        CREATE TABLE notification (
            position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text COLLATE "C" NOT NULL UNIQUE,
            content text NOT NULL
        );
        CREATE TABLE delivery (
            notification bigint NOT NULL REFERENCES notification, channel text COLLATE "C" NOT NULL,
            state text COLLATE "C" NOT NULL, attempts bigint NOT NULL, next_attempt_at bigint NOT NULL,
            ended_at bigint, failure text, PRIMARY KEY (notification, channel)
        );
        CREATE INDEX delivery_due ON delivery (next_attempt_at) WHERE state = 'pending';

        CREATE TABLE administrator (
            name text COLLATE "C" PRIMARY KEY, role text COLLATE "C" NOT NULL, consumer text COLLATE "C",
            token_digest text NOT NULL, created_at bigint NOT NULL, expires_at bigint
        );
        CREATE TABLE spent_token (token text COLLATE "C" PRIMARY KEY, at bigint NOT NULL);
        CREATE TABLE setting (name text COLLATE "C" PRIMARY KEY, value text NOT NULL);
        CREATE TABLE stored_response (
            idempotency_key text COLLATE "C" PRIMARY KEY, request_digest text NOT NULL, status bigint NOT NULL,
            headers text NOT NULL, body bytea NOT NULL, at bigint NOT NULL
        );
        CREATE INDEX stored_response_at ON stored_response (at);

        """
}
