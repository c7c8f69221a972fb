import CPostgres
public import CloudPorts
import Foundation

/// How the server is reached: a connection string of libpq, `host=… dbname=…` or `postgresql://…` (PostgreSQL manual,
/// section 34.1.1). Several hosts are one server and its replicas: the one that takes writes is used.
public struct PostgresConnectionSettings: Sendable, CustomStringConvertible {
    let text: String
    /// Where that is, for messages: without the password.
    let place: String

    public var description: String { place }

    /// Throws where the text is no connection string.
    public init(_ text: String) throws(LogDatabaseError) {
        var message: UnsafeMutablePointer<CChar>?
        guard let options = PQconninfoParse(text, &message) else {
            let reason = message.map { String(cString: $0) } ?? "no memory"
            PQfreemem(message)
            throw LogDatabaseError(
                .storage,
                "the connection string cannot be read: \(reason.trimmingCharacters(in: .whitespacesAndNewlines)); "
                    + "write it as in 'host=db.example.org dbname=cloudwright user=cloudwright password=…'")
        }
        defer { PQconninfoFree(options) }
        var values: [String: String] = [:]
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { values[String(cString: keyword)] = String(cString: value) }
            option += 1
        }
        self.text = text
        let database = values["dbname"] ?? values["service"].map { "service \($0)" } ?? "the default database"
        place = "PostgreSQL at \(values["host"] ?? values["hostaddr"] ?? "the local socket") (\(database))"
    }

    /// The connection string in a file, which only its owner may read since there may be a password in it.
    public init(file: String) throws(LogDatabaseError) {
        guard let data = FileManager.default.contents(atPath: file) else {
            throw LogDatabaseError(
                .storage, "\(file) cannot be read; write the connection string of PostgreSQL into it, mode 0600")
        }
        let attributes = try? FileManager.default.attributesOfItem(atPath: file)
        let mode = (attributes?[.posixPermissions] as? NSNumber)?.intValue ?? 0
        guard mode & 0o077 == 0 else {
            throw LogDatabaseError(
                .storage, "\(file) can be read by others and may hold a password; run: chmod 600 \(file)")
        }
        let text = String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        guard !text.isEmpty, !text.contains("\n") else {
            throw LogDatabaseError(.storage, "\(file) must hold one line, the connection string of PostgreSQL")
        }
        try self.init(text)
    }
}
