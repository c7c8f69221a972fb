import CloudPorts

/// Brings the database's schema up to date, or refuses a database that is not ours or newer than this program.
struct Migration {
    let connection: Connection
    let place: String

    /// The oldest server whose features the schema and the statements use: row triggers on partitioned tables.
    private static let oldestServer = 130_000
    /// "CWLD": names the lock that one program at a time migrates under.
    private static let lock = 0x4357_4C44

    func run() throws {
        guard connection.serverVersion >= Self.oldestServer else {
            throw LogDatabaseError(
                .storage,
                "\(place) is version \(connection.serverVersion / 10_000); PostgreSQL 13 or newer is needed")
        }
        let encoding = try connection.run("SELECT current_setting('server_encoding') AS encoding").first
        guard let encoding = try encoding?.text("encoding"), encoding == "UTF8" else {
            throw LogDatabaseError(
                .storage,
                "\(place) is not encoded in UTF-8; make one with: createdb --encoding=UTF8 --template=template0")
        }
        try connection.transaction {
            try connection.command("SELECT pg_advisory_xact_lock(\(Self.lock))")
            let present = try present()
            guard present <= Schema.version else {
                throw LogDatabaseError(
                    .newerSchema,
                    "\(place) was written by a newer version (schema \(present), this one knows \(Schema.version)); "
                        + "run that version, or restore a backup from before the upgrade")
            }
            for migration in Schema.migrations where migration.version > present {
                try connection.command(migration.sql)
                try connection.run(
                    "INSERT INTO cloudwright_schema (version, at) VALUES ($1, $2)", migration.version,
                    PostgresLogDatabase.now())
            }
        }
    }

    /// 0 for an empty database, which is marked as ours.
    private func present() throws -> Int {
        let ours = try connection.run(
            """
            SELECT to_regclass(quote_ident(current_schema()) || '.cloudwright_schema') IS NOT NULL AS ours,
                (SELECT count(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
                    WHERE nspname = current_schema() AND relkind IN ('r', 'p')) AS tables
            """
        ).first
        guard let ours else { throw LogDatabaseError(.corrupted, "\(place) has no schema to make tables in") }
        if try ours.flag("ours") {
            return try connection.run("SELECT coalesce(max(version), 0) AS version FROM cloudwright_schema")
                .first?.number("version") ?? 0
        }
        guard try ours.number("tables", Int.self) == 0 else {
            throw LogDatabaseError(
                .corrupted, "\(place) holds tables of another program; name an empty database as log database")
        }
        try connection.command(
            "CREATE TABLE cloudwright_schema (version integer PRIMARY KEY, at bigint NOT NULL)")
        return 0
    }
}
