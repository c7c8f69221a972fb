import CloudPorts
import Credentials
import Foundation

/// The key files of the data directory that all platforms on one log database must have in common: what one has signed,
/// tagged or locked up is read by the others.
///
/// The log database knows their digests from the first platform that decided on it. The keys have 256 random bits, so
/// that a digest gives nothing away.
struct SharedKeys {
    private static let names = ["seal.key", "audit-tag.key", "change-link.key", "second-factor.key"]

    private let data: DataDirectory
    private let database: any LogDatabase
    private let isShared: Bool

    /// - Parameter isShared: whether another platform can use the same log database.
    init(_ data: DataDirectory, _ database: any LogDatabase, isShared: Bool) {
        self.data = data
        self.database = database
        self.isShared = isShared
    }

    private static func setting(_ name: String) -> String { "key-digest/\(name)" }

    /// Throws where a key is another one than the log database knows, or is missing although it knows one: nothing may
    /// be made anew there. Nothing is written.
    func check() async throws {
        guard isShared else { return }
        var faults: [String] = []
        for name in Self.names {
            guard let known = try await database.setting(Self.setting(name)) else { continue }
            guard let content = FileManager.default.contents(atPath: data.path(name)) else {
                faults.append("\(name) is missing")
                continue
            }
            if Self.digest(of: content) != known { faults.append("\(name) is another key") }
        }
        guard !faults.isEmpty else { return }
        throw CommandFailure(
            """
            the key files in \(data.path) are not those of the log database: \(faults.joined(separator: ", ")). Copy \
            \(Self.names.joined(separator: ", ")) from the data directory of the platform that used this database \
            last, or from its backup. Where they are lost for good, start once with --adopt-keys: seals from then on \
            have another public key, and links, tags and second factors made with the old keys end
            """)
    }

    /// Makes the keys of this data directory those of the log database, where it knows none yet or `isForced`.
    func record(isForced: Bool) async throws {
        guard isShared else { return }
        for name in Self.names {
            guard let content = FileManager.default.contents(atPath: data.path(name)) else { continue }
            if !isForced, try await database.setting(Self.setting(name)) != nil { continue }
            try await database.setSetting(Self.setting(name), to: Self.digest(of: content))
        }
    }

    private static func digest(of content: Data) -> String {
        content.withUnsafeBytes { KeyDigest(of: $0) }.description
    }
}
